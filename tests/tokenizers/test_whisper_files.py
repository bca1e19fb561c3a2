"""Published files of Whisper: three dialects, refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.ctranslate2_writer import ctranslate2_file
from tokaudio.errors import CheckpointError
from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.whisper import WhisperModel
from tokaudio.tokenizers.whisper_files import load_whisper, whisper_sizes, whisper_tensors

SIZES = WhisperSizes(width=12, layers=3, heads=2, inner=48, mels=8, positions=60)
CONFIG = {
    "model_type": "whisper",
    "d_model": 12,
    "encoder_layers": 3,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "num_mel_bins": 8,
    "max_source_positions": 60,
}
DIMS = {"n_mels": 8, "n_audio_ctx": 60, "n_audio_state": 12, "n_audio_head": 2, "n_audio_layer": 3, "n_vocab": 9}
EARS = {"feature_size": 8, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
# Ours to those of transformers, OpenAI and CTranslate2.
DIALECTS = ("transformers", "openai", "ctranslate2")
THEIRS = (
    (r"conv(\d)", r"conv\1", r"conv\1", r"conv\1"),
    (r"norm", "layer_norm", "ln_post", "layer_norm"),
    (r"layers\.(\d)\.attention\.out", r"layers.\1.self_attn.out_proj", r"blocks.\1.attn.out",
     r"layer_\1.self_attention.linear_1"),
    (r"layers\.(\d)\.norm1", r"layers.\1.self_attn_layer_norm", r"blocks.\1.attn_ln",
     r"layer_\1.self_attention.layer_norm"),
    (r"layers\.(\d)\.norm2", r"layers.\1.final_layer_norm", r"blocks.\1.mlp_ln", r"layer_\1.ffn.layer_norm"),
    (r"layers\.(\d)\.up", r"layers.\1.fc1", r"blocks.\1.mlp.0", r"layer_\1.ffn.linear_0"),
    (r"layers\.(\d)\.down", r"layers.\1.fc2", r"blocks.\1.mlp.2", r"layer_\1.ffn.linear_1"),
)  # fmt: skip
POSITIONS = ("embed_positions.weight", "positional_embedding", "position_encodings.encodings")
QKV = ("layers.{}.self_attn.{}_proj.", "blocks.{}.attn.{}.", "layer_{}.self_attention.linear_0.")
WORDS = {"q": "query", "k": "key", "v": "value"}


def made() -> WhisperModel:
    torch.manual_seed(0)
    model = WhisperModel(SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.positions.add_(0.1)
        for layer in model.layers:
            layer.attention.inputs.bias[12:24] = 0.0
    return model.requires_grad_(False)


def published(model: WhisperModel, dialect: str) -> dict[str, Tensor]:
    """Return the tensors under published names, next to a decoder."""
    which = DIALECTS.index(dialect)
    out: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        stem, _, end = name.rpartition(".")
        if name == "positions":
            out[POSITIONS[which]] = value
        elif match := re.fullmatch(r"layers\.(\d+)\.attention\.inputs", stem):
            if dialect == "ctranslate2":
                out[QKV[2].format(match[1]) + end] = value
                continue
            for letter, rows in zip("qkv", value.chunk(3), strict=True):
                word = letter if dialect == "transformers" else WORDS[letter]
                if (letter, end) != ("k", "bias"):
                    out[QKV[which].format(match[1], word) + end] = rows.clone()
        else:
            ours, *theirs = next(row for row in THEIRS if re.fullmatch(row[0], stem))
            if dialect == "ctranslate2" and "norm" in stem:
                end = {"weight": "gamma", "bias": "beta"}[end]
            out[f"{re.sub(ours, theirs[which], stem)}.{end}"] = value
    prefix = {"transformers": "model.encoder.", "openai": "encoder.", "ctranslate2": "encoder."}[dialect]
    out = {prefix + name: value.contiguous() for name, value in out.items()}
    out |= {prefix.replace("encoder", "decoder") + "layers.0.fc1.weight": torch.zeros(3)}
    if dialect == "ctranslate2":
        out["encoder.num_heads"] = torch.tensor(2, dtype=torch.int16)
        out = {name.replace(".", "/"): value for name, value in out.items()}
    return out


def written(folder: Path, dialect: str, tensors: dict[str, Tensor] | None = None) -> Path:
    """Write a folder as published, and return what names it."""
    tensors = published(made(), dialect) if tensors is None else tensors
    if dialect == "transformers":
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(CONFIG))
        (folder / "preprocessor_config.json").write_text(json.dumps(EARS))
    elif dialect == "openai":
        torch.save({"dims": DIMS, "model_state_dict": tensors}, folder / "tiny.pt")
        return folder / "tiny.pt"
    else:
        (folder / "model.bin").write_bytes(ctranslate2_file(tensors))
        (folder / "config.json").write_text(json.dumps({"suppress_ids": [1]}))
    return folder


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("layers", [None, 0, 2, 3])
def test_every_dialect_gives_the_same_model(tmp_path: Path, dialect: str, layers: int | None) -> None:
    model = made()
    read = load_whisper(PublishedSource(written(tmp_path, dialect)), layers=layers)
    assert read.sizes == SIZES and len(read.layers) == (3 if layers is None else layers)
    assert hasattr(read, "norm") == (layers in (None, 3))
    assert not read.training and not any(parameter.requires_grad for parameter in read.parameters())
    wanted = model.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in read.state_dict().items())
    sound = torch.randn(3000)
    assert torch.equal(read.hidden_states(sound), model.hidden_states(sound, range(len(read.layers) + 1)))


@pytest.mark.parametrize("prefix", ["", "encoder.", "model.encoder.", "asr.whisper.encoder."])
def test_any_prefix_and_half_precision(prefix: str) -> None:
    tensors = {
        name.replace("model.encoder.", prefix): value.half()
        for name, value in published(made(), "transformers").items()
        if "encoder" in name
    }
    found = whisper_tensors(tensors)
    assert found.keys() == made().state_dict().keys()
    assert all(torch.equal(found[name], value.half()) for name, value in made().state_dict().items())


CHANGES: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "a missing bias": (lambda t: t.pop("model.encoder.layers.1.self_attn.v_proj.bias"), "layers.1.attention"),
    "a bias of keys too short": (
        lambda t: t.update({"model.encoder.layers.1.self_attn.k_proj.bias": torch.zeros(3)}),
        "layers.1.attention",
    ),
    "an unknown tensor": (lambda t: t.update({"model.encoder.odd.bias": torch.zeros(1)}), "odd.bias"),
    "a NaN": (lambda t: t["model.encoder.layer_norm.bias"].fill_(float("nan")), "NaN"),
    "another shape": (lambda t: t.update({"model.encoder.layer_norm.bias": torch.zeros(3)}), "norm.bias"),
    "no encoder": (lambda t: t.pop("model.encoder.conv1.weight"), "none of Whisper's encoders"),
    "two encoders": (lambda t: t.update({"b.conv1.weight": torch.zeros(1)}), "2 of Whisper's encoders"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, change: Callable, message: str) -> None:
    tensors = {name: value.clone() for name, value in published(made(), "transformers").items()}
    change(tensors)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        load_whisper(PublishedSource(written(tmp_path, "transformers", tensors)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "moonshine"}, "model_type"),
        ({"activation_function": "relu"}, "activation_function"),
        ({"d_model": 13}, "do not fit"),
        ({"max_source_positions": 61}, "do not fit"),
        ({"encoder_layers": -1}, "encoder_layers"),
    ],
)
def test_configurations_of_other_models_are_refused(change: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        whisper_sizes(CONFIG | change)


@pytest.mark.parametrize("name", sorted(EARS.keys() - {"chunk_length"}))
def test_another_front_end_is_refused(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path, "transformers")
    (folder / "preprocessor_config.json").write_text(json.dumps({**EARS, name: 7}))
    with pytest.raises(CheckpointError, match=f"preprocessor_config.json: has {name} 7, where"):
        load_whisper(PublishedSource(folder))


def test_heads_must_be_known(tmp_path: Path) -> None:
    tensors = published(made(), "ctranslate2")
    for heads in (None, torch.tensor(2.0), torch.tensor([2], dtype=torch.int16)):
        tensors.pop("encoder/num_heads", None)
        tensors |= {} if heads is None else {"encoder/num_heads": heads}
        with pytest.raises(CheckpointError, match="how many heads"):
            load_whisper(PublishedSource(written(tmp_path, "ctranslate2", tensors)))
    tensors["encoder/num_heads"] = torch.tensor(5, dtype=torch.int16)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_whisper(PublishedSource(written(tmp_path, "ctranslate2", tensors)))


def test_quantized_weights_are_refused_by_name(tmp_path: Path) -> None:
    tensors = published(made(), "ctranslate2")
    tensors["encoder/layer_1/ffn/linear_0/weight"] = tensors["encoder/layer_1/ffn/linear_0/weight"].to(torch.int8)
    with pytest.raises(CheckpointError, match=r"layers\.1\.up\.weight' is torch\.int8"):
        load_whisper(PublishedSource(written(tmp_path, "ctranslate2", tensors)))


@pytest.mark.parametrize("name", ["encoder/conv1/weight", "encoder/layer_0/ffn/linear_0/weight"])
def test_shapes_of_other_networks_are_refused(tmp_path: Path, name: str) -> None:
    tensors = published(made(), "ctranslate2") | {name: torch.zeros(5)}
    with pytest.raises(CheckpointError, match="lacks tensors of Whisper's encoder"):
        load_whisper(PublishedSource(written(tmp_path, "ctranslate2", tensors)))


@pytest.mark.parametrize("layers", [-1, 4])
def test_layers_that_are_not_there(tmp_path: Path, layers: int) -> None:
    with pytest.raises(CheckpointError, match=f"has 3 layers, not {layers}"):
        load_whisper(PublishedSource(written(tmp_path, "transformers")), layers=layers)
