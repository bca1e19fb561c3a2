"""The assembly of published codecs, with a toy one that looks ahead and decodes too short."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import AudioError, CheckpointError, TokensError
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.stages import Sequence
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.codec import Codec, check_samples

HOP = 10


class Toy(Codec):
    def config(self) -> dict[str, Any]:
        return {"family": "toy"}


def toy(*, size: int = 32, stride: int = 1, least_padding: int = 0) -> Toy:
    torch.manual_seed(0)
    encoder = Sequence(Conv1d(1, 6, 7, padding=(3, 3)), torch.nn.Tanh(), Conv1d(6, 4, HOP, stride=HOP))
    decoder = Sequence(
        ConvTranspose1d(4, 5, 10, stride=5, trim=(3, 3)), ConvTranspose1d(5, 1, 4, stride=2, trim=(1, 1))
    )
    quantizer = ResidualVectorQuantizer(4, 32, num_codebooks=3)
    books = (CodebookSpec(size, stride), *(CodebookSpec(32),) * 2)
    spec = TokenizerSpec(
        "toy", "compression", 1000, HOP, books, chunking="state", frame_multiple=stride, least_padding=least_padding
    )
    codec = Toy(spec, encoder, quantizer, decoder)
    latents = codec.features(torch.randn(4, 1, 3000))
    quantizer.initialise(latents.transpose(1, 2).flatten(0, 1))
    return codec.eval().requires_grad_(False)


@pytest.mark.parametrize("length", [1, 9, 10, 11, 2999, 3000, 3001, 7777])
def test_pieces_and_blocks_of_any_size_give_the_codes_and_sound_of_the_whole(length: int) -> None:
    codec, x = toy(), torch.randn(1, length)
    tokens = codec.encode(x)
    assert tokens.codes.shape[2] == codec.spec.num_frames(length)
    stream = codec.streaming()
    cuts = [min(length, 13), max(0, min(length - 13, 2900)), max(0, length - 2913)]
    codes = [stream.encoder.push(piece) for piece in x.split(cuts, dim=1)]
    assert torch.equal(torch.cat([*codes, stream.encoder.flush()], dim=1), tokens.codes[0])
    sound = codec.decode(tokens)
    assert sound.shape == (1, 1, length)
    pieces = list(codec.decode_blocks(tokens, block_frames=77))
    assert torch.equal(torch.cat(pieces, dim=1), sound[0])


def test_features_are_the_network_on_the_filled_up_signal() -> None:
    codec, x = toy(), torch.randn(1, 1, 4321)
    filled = torch.nn.functional.pad(x, (0, 9))
    assert_near(codec.features(x), codec.encoder(filled))


def test_sound_is_the_network_filled_up_with_silence() -> None:
    codec = toy()
    tokens = codec.encode(torch.randn(1, 4000))
    whole = codec.decoder(codec.embed(tokens))
    short = tokens.codes.shape[2] * HOP - whole.shape[2]
    assert short == 2
    sound = codec.decode(tokens)
    assert_near(sound[..., :-short], whole)
    assert sound[..., -short:].abs().sum() == 0


def test_frames_follow_the_padding_of_the_spec() -> None:
    codec = toy(least_padding=1)
    assert [codec.encode(torch.zeros(n)).codes.shape[2] for n in (9, 10, 11)] == [1, 2, 2]


def test_blocks_are_multiples_of_the_slowest_codebook() -> None:
    codec = toy(stride=3)
    assert codec.block_frames == 201
    assert codec.block_frames % 3 == 0


def test_other_codebooks_in_the_spec_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"toy: codebook sizes are \(33, 32, 32\) in the spec"):
        toy(size=33)


def test_foreign_pieces_are_refused() -> None:
    stream = toy().streaming()
    with pytest.raises(TokensError, match="give integer codes"):
        stream.decoder.push(torch.zeros(3, 4))
    with pytest.raises(TokensError, match=r"outside 0\.\.31"):
        stream.decoder.push(torch.full((3, 4), 32))
    with pytest.raises(AudioError, match="give float32 samples"):
        stream.encoder.push(torch.zeros(1, 4, dtype=torch.int16))
    with pytest.raises(AudioError, match="is nan"):
        check_samples(torch.full((1, 4), torch.nan))


def test_a_codec_is_a_tokenizer() -> None:
    assert isinstance(toy(), Tokenizer)
    assert len(toy().codebooks()) == 3
