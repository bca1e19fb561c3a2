"""FocalCodec: both published layouts, what they say wrong, every promise of a tokenizer, short and long signals."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.focalcodec import FocalEncoder
from tokaudio.nn.ssl import SpeechModel
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.focalcodec import FocalCodec
from tokaudio.tokenizers.families.focalcodec_names import needed_tensors

FOCAL = {"focal_window": 3, "focal_level": 2, "focal_factor": 2}
CONFIG: dict[str, Any] = {
    "encoder_name": "WavLM",
    "encoder_config": {
        "hidden_dims": [8] * 7,
        "num_layers": 2,
        "dim": 32,
        "ffn_dim": 24,
        "num_heads": 2,
        "conv_pos": 16,
        "conv_pos_groups": 4,
    },
    "compressor_name": "FocalEncoder",
    "compressor_config": {
        "input_dim": 32,
        "output_dim": 6,
        "hidden_dims": [16, 12],
        "downscale_factors": [2, 1],
        **FOCAL,
    },
    "quantizer_name": "BinarySphericalQuantizer",
    "quantizer_config": {"codebook_size": 64},
    "decompressor_name": "FocalDecoder",
    "decompressor_config": {
        "input_dim": 6,
        "output_dim": 32,
        "hidden_dims": [12, 16],
        "upscale_factors": [1, 2],
        **FOCAL,
    },
    "decoder_name": "Vocos",
    "decoder_config": {"input_channels": 32, "num_layers": 2, "dim": 32, "ffn_dim": 24, "padding": "same"},
}


def noise(samples: int, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    swell = torch.linspace(0, 20, samples).sin().abs()
    return 0.3 * swell * torch.randn(samples, generator=generator)


def config(**changes: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(CONFIG)
    for part, fields in changes.items():
        changed[f"{part}_config"] |= fields
    return changed


def make(*, strides: tuple[int, int] = (2, 1)) -> FocalCodec:
    torch.manual_seed(0)
    there, back = {"downscale_factors": list(strides)}, {"upscale_factors": list(strides[::-1])}
    codec = FocalCodec.from_config(config(compressor=there, decompressor=back)).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.3 * torch.rand_like(value) - 0.15)
        elif "speech" in name:
            value.mul_(1.5)
    rows = codec.encoder.compressor.layers(codec.encoder.speech(noise(32_000)[None], (2,))[0])
    out = codec.encoder.compressor.out
    out.weight.div_(out(rows).std((0, 1))[:, None])
    out.bias.copy_(-(out.weight @ rows.mean((0, 1))))
    return codec


# Ours to those of version 0.0.2.
THEIRS = (
    (r"^encoder\.speech\.front\.convs\.(\d+)\.", r"encoder.feature_extractor.layers.\1.conv."),
    (r"^encoder\.speech\.front\.norms\.(\d+)\.", r"encoder.feature_extractor.layers.\1.norm."),
    (r"^encoder\.speech\.front_norm\.", "encoder.norm."),
    (r"^encoder\.speech\.projection\.", "encoder.feature_proj."),
    (r"^encoder\.speech\.positions\.", "encoder.encoder.positional_embedding."),
    (r"^encoder\.speech\.distances\.table\.", "encoder.encoder.relative_embedding."),
    (r"^encoder\.speech\.layers\.(\d+)\.norm1\.", r"encoder.encoder.layers.\1.attention_norm."),
    (r"^encoder\.speech\.layers\.(\d+)\.norm2\.", r"encoder.encoder.layers.\1.feed_forward_norm."),
    (r"^encoder\.speech\.layers\.(\d+)\.attention\.inputs\.", r"encoder.encoder.layers.\1.attention.qkv_proj."),
    (r"^encoder\.speech\.layers\.(\d+)\.attention\.out\.", r"encoder.encoder.layers.\1.attention.out_proj."),
    (r"^encoder\.speech\.layers\.(\d+)\.attention\.gate\.", r"encoder.encoder.layers.\1.attention.gru_rel_pos_linear."),
    (r"^encoder\.speech\.(layers\.\d+\.attention)\.gate_scale", r"encoder.encoder.\1.gru_rel_pos_const"),
    (r"^encoder\.speech\.layers\.(\d+)\.up\.", r"encoder.encoder.layers.\1.feed_forward.in_proj."),
    (r"^encoder\.speech\.layers\.(\d+)\.down\.", r"encoder.encoder.layers.\1.feed_forward.out_proj."),
    (r"^encoder\.compressor\.layers\.(\d+)\.(conv|activation)\.", r"compressor.layers.\1.downscale.\2."),
    (r"^decoder\.decompressor\.layers\.(\d+)\.(conv|activation)\.", r"decompressor.layers.\1.upscale.\2."),
    (r"^encoder\.compressor\.out\.", "compressor.out_proj."),
    (r"^encoder\.compressor\.", "compressor."),
    (r"^decoder\.decompressor\.inputs\.", "decompressor.in_proj."),
    (r"^decoder\.decompressor\.", "decompressor."),
    (r"\.downscale\.conv\.", ".downscale.downscale."),
    (r"\.upscale\.conv\.", ".upscale.upscale."),
    (r"\.block\.norm1\.", ".focal_block.modulation_norm."),
    (r"\.block\.norm2\.", ".focal_block.feed_forward_norm."),
    (r"\.block\.up\.", ".focal_block.feed_forward.in_proj."),
    (r"\.block\.down\.", ".focal_block.feed_forward.out_proj."),
    (r"\.block\.modulation\.inputs\.", ".focal_block.modulation.in_proj."),
    (r"\.block\.modulation\.contexts\.(\d+)\.", r".focal_block.modulation.layers.\1.0."),
    (r"\.block\.modulation\.mix\.", ".focal_block.modulation.context_proj."),
    (r"\.block\.modulation\.out\.", ".focal_block.modulation.out_proj."),
    (r"^decoder\.embed\.", "decoder.backbone.embedding."),
    (r"^decoder\.norm\.", "decoder.backbone.input_norm."),
    (r"^decoder\.convnext\.", "decoder.backbone.layers."),
    (r"^decoder\.final_norm\.", "decoder.backbone.output_norm."),
    (r"^decoder\.head\.out\.", "decoder.head.proj."),
)  # fmt: skip
OLDER = (
    (r"^compressor\.layers\.(\d+)\.downscale\.", r"compressor.layers.\1.0."),
    (r"^compressor\.layers\.(\d+)\.focal_block\.", r"compressor.layers.\1.1."),
    (r"^decompressor\.layers\.(\d+)\.focal_block\.", r"decompressor.layers.\1.0."),
    (r"^decompressor\.layers\.(\d+)\.upscale\.", r"decompressor.layers.\1.1."),
)


def published(codec: FocalCodec, layout: str) -> dict[str, Tensor]:
    """Return the tensors as a file has them, with what is not needed."""
    tensors: dict[str, Tensor] = {}
    for ours, value in codec.state_dict().items():
        name, value = ours, value.clone()
        for pattern, theirs in THEIRS + (OLDER if layout == "0.0.1" else ()):
            name = re.sub(pattern, theirs, name)
        if name.endswith("alpha"):
            value = value[:, None]
        elif name.endswith("context_proj.weight"):
            value = value[..., None]
        elif name.endswith("gru_rel_pos_const"):
            value = value.view(1, -1, 1, 1)
        if layout == "0.0.1" and ".qkv_proj." in name:
            for which, rows in zip("qkv", value.chunk(3), strict=True):
                tensors[name.replace("qkv", which)] = rows.clone()
        else:
            tensors[name] = value.contiguous()
    if layout == "0.0.1":
        tensors |= {"encoder.encoder.norm.bias": torch.ones(32), "quantizer.mask": torch.arange(6)}
    return tensors


def publish(folder: Path, codec: FocalCodec, layout: str, change: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in codec.config().items() if k != "family"}))
    tensors = published(codec, layout) | (change or {})
    save_file({name: value for name, value in tensors.items() if value is not None}, folder / "model.safetensors")
    return folder


def test_every_promise_holds() -> None:
    # Here more samples than one frame has may be left over at the end.
    check_tokenizer(make(strides=(1, 1)))


def test_its_codes_are_diverse_enough_for_these_tests() -> None:
    assert len(make().encode(noise(32_000)).codes.unique()) > 20


@pytest.mark.parametrize("layout", ["0.0.2", "0.0.1"])
def test_published_files_load_and_save_as_ours(tmp_path: Path, layout: str) -> None:
    codec, sound = make(), noise(9_003)
    folder = publish(tmp_path / "in", codec, layout)
    wanted = codec.encode(sound)
    for path in (folder, folder / "model.safetensors"):
        loaded = Tokenizer.from_pretrained(path)
        assert type(loaded) is FocalCodec
        assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is FocalCodec and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compressor.out_proj.bias": None}, "lacks tensor 'compressor.out_proj.bias'"),
        ({"compressor.odd": torch.ones(1)}, "compressor.odd"),
        ({"decoder.head.proj.bias": torch.ones(3)}, "'decoder.head.proj.bias' has shape"),
        ({"encoder.norm.bias": torch.full((8,), torch.nan)}, "NaN"),
        (
            {"encoder.encoder.layers.1.attention.qkv_proj.bias": None},
            "layers.1.attention.qkv_proj.bias",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        Tokenizer.from_pretrained(publish(tmp_path, make(), "0.0.2", change))


def test_a_third_of_a_projection_is_not_used(tmp_path: Path) -> None:
    codec = make()
    tensors = published(codec, "0.0.1")
    del tensors["encoder.encoder.layers.0.attention.k_proj.bias"]
    assert "encoder.encoder.layers.0.attention.q_proj.bias" in needed_tensors(tensors)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"causal": True}}, "causal FocalCodec"),
        ({"decoder": {"kernel_size": 3}}, "kernel_size"),
        ({"compressor": {"downscale_factors": [4, 1]}}, "downscale_factors"),
        ({"compressor": {"downscale_factors": [2]}}, "downscale_factors"),
        ({"quantizer": {"codebook_size": 32}}, "do not fit"),
        ({"compressor": {"output_dim": 40}}, "do not fit"),
        ({"decompressor": {"upscale_factors": [1, 1]}}, "do not fit"),
        ({"encoder": {"num_heads": 5}}, "do not fit"),
        ({"decoder": {"n_fft": 321}}, "n_fft"),
        ({"compressor": {"use_post_norm": 1}}, "use_post_norm"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        FocalCodec.from_config(config(**changes))


def test_another_decoder_is_refused() -> None:
    with pytest.raises(CheckpointError, match="decoder_name"):
        FocalCodec.from_config(CONFIG | {"decoder_name": "WaveNeXt"})


def test_weights_without_configuration_are_refused(tmp_path: Path) -> None:
    (publish(tmp_path, make(), "0.0.2") / "config.json").unlink()
    with pytest.raises(CheckpointError, match="without a configuration"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("length", [1, 9, 10, 399, 400, 719, 720, 1040, 6_001])
def test_latents_and_sound_are_those_of_the_networks(length: int) -> None:
    codec, sound = make(strides=(1, 1)), noise(length)
    tokens = codec.encode(sound)
    assert tokens.codes.shape[2] == max(1, (length - 80) // 320)
    if length >= 400:
        assert_near(codec.features(sound), codec.encoder(sound[None, None]), within=1e-4)
    whole = codec.decoder(codec.quantizer.decode(tokens.codes))[..., :length]
    found = codec.decode(tokens)
    assert_near(found[..., : whole.shape[2]], whole, within=1e-4)
    # The rest at the end has no frame.
    assert found.shape[2] == length and not found[..., whole.shape[2] :].any()


def test_windows_are_whole_up_to_a_limit_and_said_beyond_it() -> None:
    codec, exact = make(), make()
    codec.window_seconds, exact.window_seconds = 3.0, None
    short, long = noise(48_000), noise(100_000)
    tokens = codec.encode(short)
    assert torch.equal(tokens.codes, exact.encode(short).codes) and "windows" not in tokens.provenance
    tokens, wanted = codec.encode(long), exact.encode(long)
    assert tokens.codes.shape == wanted.codes.shape
    assert tokens.provenance["windows"] == "2 s, context 1 s: approximate"
    agreement = (tokens.codes == wanted.codes).float().mean()
    assert 0.2 < agreement < 1.0


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_no_more_than_a_window_is_heard_at_a_time(strides: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    codec, heard = make(strides=strides), []
    codec.window_seconds, codec.block_seconds = 3.0, 1.0
    last_state = codec.encoder.speech.last_state
    monkeypatch.setattr(
        codec.encoder.speech, "last_state", lambda frames: heard.append(len(frames)) or last_state(frames)
    )
    tokens, pieces = codec.encode(noise(200_000)), []
    stream = codec.streaming().encoder
    for block in noise(200_000).split(7_001):
        pieces.append(stream.push(block[None]))
    # Results come while the sound does, and are the same.
    assert any(piece.shape[1] for piece in pieces)
    assert torch.equal(torch.cat([*pieces, stream.flush()], 1), tokens.codes[0])
    # 2 s and 1 s of context on both sides, and what may come after the last window.
    assert len(heard) > 8 and max(heard) <= 50 * 5


def test_frames_do_not_depend_on_the_blocks_that_sound_comes_in() -> None:
    codec, sound = make(strides=(1, 1)), noise(30_000)
    wanted = codec.features(sound)
    codec.block_seconds = 0.04
    assert_near(codec.features(sound), wanted, within=1e-4)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_long_codes_are_decoded_in_pieces_as_the_network_does(
    strides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = make(strides=strides)
    tokens = codec.encode(noise(100_000))
    wanted = codec.decoder(codec.quantizer.decode(tokens.codes))
    monkeypatch.setattr("tokaudio.nn.focalcodec._WHOLE", 64)
    monkeypatch.setattr("tokaudio.nn.focalcodec._PIECE", 40)
    monkeypatch.setattr(codec.decoder.decompressor, "forward", None)
    found = codec.decode(tokens)
    assert_near(found[..., : wanted.shape[2]], wanted[..., : found.shape[2]], within=1e-4)
    stream = codec.streaming().decoder
    streamed = torch.cat(
        [stream.push(tokens.codes[0, :, :30]), stream.push(tokens.codes[0, :, 30:]), stream.flush()], 1
    )
    assert torch.equal(streamed[:, : wanted.shape[2]], found[0, :, : streamed.shape[1]][:, : wanted.shape[2]])


def test_frames_that_depend_on_the_whole_signal_are_refused() -> None:
    encoder = make().encoder
    speech = SpeechModel(dataclasses.replace(encoder.speech.sizes, conv_norm="group"))
    with pytest.raises(ValueError, match="norms over channels"):
        FocalEncoder(speech, encoder.compressor)


def test_the_spec_says_what_the_configuration_says() -> None:
    spec = make().spec
    assert (spec.kind, spec.chunking, spec.causal, spec.least_padding) == ("hybrid", "none", False, -399)
    assert (spec.frame_rate, spec.codebook_sizes, spec.codebooks[0].role) == (25, (64,), "joint")
    faster = FocalCodec.from_config(config(decoder={"hop_length": 480}))
    assert faster.spec.output_sample_rate == 24_000
