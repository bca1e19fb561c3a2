"""SpeechTokenizer: both published layouts, what they say wrong, every promise of a tokenizer, and long signals."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.conv import Conv1d, ConvTranspose1d
from tokaudio.nn.windows import Windows
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.speechtokenizer import SpeechTokenizer

CONFIG: dict[str, Any] = {
    "sample_rate": 4_000,
    "n_filters": 8,
    "strides": [5, 4],
    "dimension": 16,
    "semantic_dimension": 12,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "lstm_layers": 2,
    "activation": "ELU",
    "codebook_size": 32,
    "n_q": 3,
}


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def make(**fields: Any) -> SpeechTokenizer:
    torch.manual_seed(0)
    codec = SpeechTokenizer.from_config(CONFIG | fields).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        value.mul_(2.0 if "lstm" in name else 1.5)
    codec.quantizer.initialise(codec.features(noise(20_000))[0].T)
    return codec


def published(codec: SpeechTokenizer) -> dict[str, Tensor]:
    """Return the state under the published names, with weight norm and what training leaves behind."""
    tensors = {"transform.weight": torch.ones(12, 16), "transform.bias": torch.ones(12)}
    for name, value in codec.state_dict().items():
        if name.startswith("quantizer"):
            stem = f"quantizer.vq.layers.{name.split('.')[2]}._codebook."
            tensors |= {f"{stem}embed": value.clone(), f"{stem}embed_avg": value.clone()}
            tensors |= {f"{stem}inited": torch.ones(1), f"{stem}cluster_size": torch.ones(len(value))}
            continue
        stem, _, leaf = name.rpartition(".")
        module = codec.get_submodule(stem)
        stem = stem.replace("layers.", "model.").replace("body.", "block.")
        if isinstance(module, Conv1d | ConvTranspose1d):
            kind = "convtr" if isinstance(module, ConvTranspose1d) else "conv"
            stem = f"{stem}.{kind}.{kind}"
        if leaf == "alpha":
            tensors[f"{stem}.alpha"] = value.clone()[None, :, None]
        elif leaf == "weight":
            tensors[f"{stem}.weight_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            tensors[f"{stem}.weight_v"] = 3 * value.contiguous()
        else:
            tensors[f"{stem}.{leaf}"] = value.clone()
    return tensors


def publish(folder: Path, codec: SpeechTokenizer, change: dict[str, Any] | None = None, **fields: Any) -> Path:
    """Write published files; `change` replaces tensors, None takes one away; fields that are None are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    config = codec.config() | {"semantic_dimension": 12} | fields
    config.pop("family")
    config = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: value for name, value in (published(codec) | (change or {})).items() if value is not None}
    file = "SpeechTokenizer.pt" if codec.net.activation == "elu" else "ckpt.dev"
    torch.save(tensors, folder / file)
    return folder


@pytest.mark.parametrize("activation", ["ELU", "Snake"])
def test_every_promise_holds(activation: str):
    check_tokenizer(make(activation=activation))


def test_its_codes_are_diverse_enough_for_these_tests():
    assert min(len(row.unique()) for row in make().encode(noise(8_000)).codes[0]) > 12


@pytest.mark.parametrize("activation", ["ELU", "Snake"])
def test_published_files_load_and_save_as_ours(tmp_path: Path, activation: str):
    codec, sound = make(activation=activation), noise(4_003)
    folder = publish(tmp_path / "in", codec)
    wanted = codec.encode(sound)
    for path in (folder, next(folder.glob("*[!n]"))):
        loaded = Tokenizer.from_pretrained(path)
        assert type(loaded) is SpeechTokenizer
        assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is SpeechTokenizer and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


def test_the_spec_says_what_the_configuration_says():
    spec = make().spec
    assert (spec.kind, spec.chunking, spec.causal) == ("hybrid", "none", False)
    assert [book.role for book in spec.codebooks] == ["semantic", "acoustic", "acoustic"]
    assert (spec.frame_rate, spec.codebook_sizes) == (200, (32,) * 3)


@pytest.mark.parametrize("length", [1, 3, 19, 20, 21, 399, 4_001])
def test_latents_and_sound_are_those_of_the_networks(length: int):
    codec, sound = make(), noise(length)
    latents = codec.features(sound)
    assert_near(latents, codec.encoder(sound[None, None]), within=0.0001)
    tokens = codec.encode(sound)
    assert tokens.codes.shape[2] == -(-length // 20) == latents.shape[2]
    whole = codec.decoder(codec.quantizer.decode(tokens.codes))
    assert_near(codec.decode(tokens), whole[..., :length], within=0.0001)


# --- long signals --------------------------------------------------------------------------------------------------


def test_windows_are_whole_up_to_a_limit_and_said_beyond_it():
    codec = make()
    codec.window_seconds = 3.0
    assert codec.windows == Windows(400, 200)
    short, long = noise(12_000), noise(40_000)
    exact = make()
    exact.window_seconds = None
    tokens = codec.encode(short)
    assert torch.equal(tokens.codes, exact.encode(short).codes) and "windows" not in tokens.provenance
    tokens, wanted = codec.encode(long), exact.encode(long)
    assert tokens.provenance["windows"] == "2 s, context 1 s: approximate"
    assert "windows" not in wanted.provenance
    assert (tokens.codes == wanted.codes).float().mean() > 0.98
    assert_near(codec.features(long), exact.features(long), within=0.001)


def test_no_context_is_not_enough():
    # So that the tests above and below would notice a context that is lost.
    codec, long = make(), noise(40_000)
    whole = codec.features(long)
    cut = torch.cat([codec.features(part) for part in long.split(8_000)], dim=2)
    assert (whole - cut).abs().max() > 1e-2


@pytest.mark.parametrize(("length", "seconds"), [(11_000, 3.0), (40_000, 3.0), (80_000, 9.0)])
def test_streams_and_pieces_give_what_encode_gives(length: int, seconds: float):
    codec, sound = make(), noise(length)
    codec.window_seconds = seconds
    wanted = codec.encode(sound)
    streaming = codec.streaming()
    got = [streaming.encoder.push(part[None]) for part in sound.split(1_777)]
    assert torch.equal(torch.cat([*got, streaming.encoder.flush()], dim=1), wanted.codes[0])
    pieces = codec.encode_blocks(sound[None].split(3_001, dim=1), 4_000)
    assert torch.equal(pieces.codes, wanted.codes) and pieces.num_samples.tolist() == [length]
    heard = torch.cat([streaming.decoder.push(wanted.codes[0]), streaming.decoder.flush()], dim=1)
    assert torch.equal(heard[:, :length], codec.decode(wanted)[0])


def test_pieces_of_a_long_signal_say_that_it_was_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tokaudio.tokenizers.base._PIECE_FRAMES", 300)
    codec = make()
    codec.window_seconds = 3.0
    for length, cut in ((11_000, False), (40_000, True)):
        pieces = list(codec.encode_pieces(noise(length)[None].split(3_001, dim=1), 4_000))
        assert (len(pieces) > 1) == cut
        assert all(("windows" in piece.provenance) == cut for piece in pieces)


# --- what is refused -----------------------------------------------------------------------------------------------

_BIAS = "encoder.model.0.conv.conv.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({_BIAS: None}, f"lacks tensor '{_BIAS}'"),
        ({_BIAS: torch.zeros(7)}, f"'{_BIAS}' has shape"),
        ({_BIAS: torch.full((8,), torch.nan)}, "NaN"),
        ({"decoder.extra": torch.zeros(1)}, "decoder.extra"),
        ({"quantizer.vq.layers.1._codebook.embed": None}, "lacks tensor 'quantizer.vq.layers.1._codebook.embed'"),
        ({"quantizer.vq.layers.0.project_in.weight": torch.zeros(1)}, "project_in"),
        ({"encoder.model.7.lstm.weight_hh_l1_reverse": None}, "weight_hh_l1_reverse"),
    ],
)
def test_damaged_weights_are_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str):
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(publish(tmp_path, make(), change))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dilation_base": None}, "has no field 'dilation_base'"),
        ({"activation": "GELU"}, "it must be one of ELU, Snake"),
        ({"strides": []}, "list of 1 to 16"),
        ({"strides": [0, 2]}, "list of whole numbers from 1"),
        ({"n_filters": True}, "whole number"),
        ({"n_filters": 2**40}, "whole number"),
        ({"bidirectional": 1}, "true or false"),
        ({"dimension": 32}, "misshapen|shape"),
        ({"n_q": 9}, "lacks tensor 'quantizer.vq.layers."),
    ],
)
def test_impossible_configurations_are_refused_by_field(tmp_path: Path, fields: dict[str, Any], message: str):
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(publish(tmp_path, make(), **fields))


def test_weights_without_a_configuration_are_recognised_and_refused(tmp_path: Path):
    publish(tmp_path, make())
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"put the config.json of its folder beside it"):
        Tokenizer.from_pretrained(tmp_path)


def test_parts_that_do_not_agree_are_refused():
    config = make().config() | {"spec": make().spec.to_dict()}
    config["strides"] = [2, 2]
    with pytest.raises(CheckpointError, match="are not those of the network"):
        SpeechTokenizer.from_config(config)
