"""The spectral codec: tiles against one pass over the whole signal, and configurations that do not fit."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import AudioError, CheckpointError, TokensError
from tokaudio.tokenizers import SpectralCodec
from tokaudio.tokenizers.spectral_codec import TILE


def whole_latents(codec: SpectralCodec, samples: Tensor) -> Tensor:
    """Latents `[D, T]` by one pass of the encoder over samples `[1, S]` in silence, without tiles."""
    hop, reach = codec.spec.hop_length, codec.encoder.reach
    frames = codec.spec.num_frames(samples.shape[1])
    edge = reach * hop + codec.encoder.context
    padded = F.pad(samples, (edge, edge + frames * hop - samples.shape[1]))
    return codec.encoder(padded)[0, :, reach : reach + frames]


def flips(codec: SpectralCodec, latents: Tensor, codes: Tensor, other: Tensor) -> tuple[int, int]:
    """Return tie flips and other flips (level B): judged at the first differing codebook of each frame."""
    ties = real = 0
    for frame in (codes != other).any(0).nonzero().squeeze(1).tolist():
        level = int((codes[:, frame] != other[:, frame]).nonzero()[0])
        rest = latents[:, frame].double()
        for k in range(level):
            rest = rest - codec.quantizer.codebook(k)[codes[k, frame]].double()
        two = (codec.quantizer.codebook(level).double() - rest).square().sum(1).sort().values[:2]
        near = float((two[1] - two[0]) / two[1]) < 1e-4
        ties, real = ties + near, real + (not near)
    return ties, real


@pytest.mark.parametrize("which", ["tiny", "mini-codec", "mini-semantic"])
def test_tiles_equal_one_pass_over_the_whole(codec: SpectralCodec, which: str):
    codec = codec if which == "tiny" else Tokenizer.from_pretrained(which)
    assert isinstance(codec, SpectralCodec)
    count = (2 * TILE + 31) * codec.spec.hop_length + 17
    noise = torch.randn(1, count, generator=torch.Generator().manual_seed(1))
    samples = 0.2 * noise * torch.linspace(0, 12, count).sin()
    latents = whole_latents(codec, samples)
    tiled = codec.features(samples)[0]
    torch.testing.assert_close(tiled, latents, atol=1e-5 * float(latents.abs().max()), rtol=0)
    codes, other = codec.encode(samples).codes[0], codec.quantizer.encode(latents[None])[0]
    ties, real = flips(codec, latents, codes, other)
    assert real == 0
    assert ties <= max(1, 0.001 * codes.shape[1])


def test_a_flip_that_is_no_tie_is_counted(codec: SpectralCodec, noise: Tensor):
    latents, codes = codec.features(noise)[0], codec.encode(noise).codes[0]
    other = codes.clone()
    other[1, 7] = (other[1, 7] + 1) % 16
    assert flips(codec, latents, codes, other) == (0, 1)


def test_decoded_tiles_equal_one_pass_over_the_whole(codec: SpectralCodec, noise: Tensor):
    tokens = codec.encode(noise.repeat(6))
    reach, hop = codec.decoder.reach, codec.spec.hop_length
    vectors = F.pad(codec.embed(tokens), (reach, reach))
    signal = codec.decoder(vectors)
    edge = codec.decoder.context + reach * hop
    wanted = signal[:, edge : edge + 48_000]
    assert_near(codec.decode(tokens)[0], wanted)


def test_quantizers_are_interchangeable(codec: SpectralCodec, noise: Tensor):
    config = copy.deepcopy({**codec.config(), "spec": codec.spec.to_dict()})
    config["quantizer"] = {"name": "fsq", "levels": [4, 4, 4]}
    config["spec"]["codebooks"] = [{"size": 64}]
    other = SpectralCodec.from_config(config)
    tokens = other.encode(noise)
    assert tokens.codes.shape == (1, 1, 100)
    assert other.decode(tokens).shape == (1, 1, 8_000)
    assert other.codebooks()[0].shape == (64, 8)


def test_a_configuration_gives_the_same_codec_back(codec: SpectralCodec):
    config = {**codec.config(), "spec": codec.spec.to_dict()}
    other = SpectralCodec.from_config(config)
    assert {**other.config(), "spec": other.spec.to_dict()} == config
    assert other.state_dict().keys() == codec.state_dict().keys()


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("spec", "hop_length"), 160, "hop_length is 160 in the spec and 80 in the network"),
        (("spec", "channels"), 2, "channels is 2 in the spec and 1 in the network"),
        (("quantizer", "codebook_size"), 32, "codebook sizes is .* in the spec and .*32"),
        (("quantizer", "warmth"), 1, "warmth"),
        (("network", "depth"), 3, "depth"),
    ],
)
def test_parts_that_do_not_agree_are_refused(codec: SpectralCodec, path: tuple[str, str], value: int, problem: str):
    config: dict[str, Any] = copy.deepcopy({**codec.config(), "spec": codec.spec.to_dict()})
    config[path[0]][path[1]] = value
    with pytest.raises(CheckpointError, match=problem):
        SpectralCodec.from_config(config)


@pytest.mark.parametrize("missing", ["network", "quantizer", "spec"])
def test_a_configuration_that_lacks_a_part_is_refused(codec: SpectralCodec, missing: str):
    config = {**codec.config(), "spec": codec.spec.to_dict()}
    del config[missing]
    with pytest.raises(CheckpointError, match=missing):
        SpectralCodec.from_config(config)


def test_streams_judge_what_is_pushed(codec: SpectralCodec, noise: Tensor):
    stream = codec.streaming()
    for piece, problem in (
        ((noise[None] * 100).to(torch.int16), "int16"),
        (noise[None] * torch.nan, "nan"),
        (noise[None] * 1e6, "peak"),
        (noise, r"give \[1, n\]"),
    ):
        with pytest.raises(AudioError, match=problem):
            stream.encoder.push(piece)
    codes = codec.encode(noise).codes[0]
    for piece, problem in ((codes.float(), "float32"), (codes + 16, "outside 0..15"), (codes - 16, "outside 0..15")):
        with pytest.raises(TokensError, match=problem):
            stream.decoder.push(piece)
    assert torch.equal(torch.cat([stream.encoder.push(noise[None]), stream.encoder.flush()], 1), codes)
    assert stream.decoder.push(codes.int()).shape[1] == 0
