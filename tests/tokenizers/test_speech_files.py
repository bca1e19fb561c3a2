"""Published files of HuBERT, wav2vec 2.0 and WavLM: both dialects, under any prefix, refused by name."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tokaudio.errors import CheckpointError
from tokaudio.nn.ssl import SpeechModel, SpeechSizes
from tokaudio.tokenizers.backbone_names import layers_of, speech_tensors
from tokaudio.tokenizers.speech_files import load_speech_model, speech_model, speech_sizes

CONFIG = {
    "model_type": "wavlm",
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "num_buckets": 32,
    "max_bucket_distance": 40,
}
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
# Ours to those of transformers and of fairseq; layers are `N`.
THEIRS = (
    (r"front\.convs\.(\d+)", r"feature_extractor.conv_layers.\1.conv", r"feature_extractor.conv_layers.\1.0"),
    (r"front\.norms\.(\d+)", r"feature_extractor.conv_layers.\1.layer_norm", r"feature_extractor.conv_layers.\1.2"),
    (r"front_norm", "feature_projection.layer_norm", "layer_norm"),
    (r"projection", "feature_projection.projection", "post_extract_proj"),
    (r"positions\.conv", "encoder.pos_conv_embed.conv", "encoder.pos_conv.0"),
    (r"norm", "encoder.layer_norm", "encoder.layer_norm"),
    (
        r"distances\.table",
        "encoder.layers.0.attention.rel_attn_embed",
        "encoder.layers.0.self_attn.relative_attention_bias",
    ),
    (
        r"layers\.(\d+)\.attention\.gate",
        r"encoder.layers.\1.attention.gru_rel_pos_linear",
        r"encoder.layers.\1.self_attn.grep_linear",
    ),
    (
        r"layers\.(\d+)\.attention\.out",
        r"encoder.layers.\1.attention.out_proj",
        r"encoder.layers.\1.self_attn.out_proj",
    ),
    (r"layers\.(\d+)\.norm1", r"encoder.layers.\1.layer_norm", r"encoder.layers.\1.self_attn_layer_norm"),
    (r"layers\.(\d+)\.norm2", r"encoder.layers.\1.final_layer_norm", r"encoder.layers.\1.final_layer_norm"),
    (r"layers\.(\d+)\.up", r"encoder.layers.\1.feed_forward.intermediate_dense", r"encoder.layers.\1.fc1"),
    (r"layers\.(\d+)\.down", r"encoder.layers.\1.feed_forward.output_dense", r"encoder.layers.\1.fc2"),
)  # fmt: skip


def made(**changes) -> SpeechModel:
    torch.manual_seed(0)
    model = SpeechModel(speech_sizes(CONFIG | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.requires_grad_(False)


def published(model: SpeechModel, dialect: str, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors under published names."""
    fairseq = dialect == "fairseq"
    out: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        value = value.contiguous()
        if match := re.fullmatch(r"layers\.(\d+)\.attention\.inputs\.(\w+)", name):
            part = f"encoder.layers.{match[1]}.{'self_attn' if fairseq else 'attention'}"
            for which, rows in zip("qkv", value.chunk(3), strict=True):
                out[f"{part}.{which}_proj.{match[2]}"] = rows.clone()
        elif match := re.fullmatch(r"layers\.(\d+)\.attention\.gate_scale", name):
            end = "self_attn.grep_a" if fairseq else "attention.gru_rel_pos_const"
            out[f"encoder.layers.{match[1]}.{end}"] = value.view(1, -1, 1, 1)
        else:
            stem, _, end = name.rpartition(".")
            ours, *theirs = next(row for row in THEIRS if re.fullmatch(row[0], stem))
            named = f"{re.sub(ours, theirs[fairseq], stem)}.{end}"
            if fairseq and model.sizes.conv_norm == "layer":
                named = re.sub(r"(conv_layers\.\d+\.2)", r"\1.1", named)
            out[named] = value
    weight = next(name for name in out if "pos_conv" in name and name.endswith("weight"))
    direction = out.pop(weight)
    gain, direction = direction.square().sum((0, 1), keepdim=True).sqrt(), 3.0 * direction
    ends = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    for end, value in zip(ends if dialect == "new" else ("weight_g", "weight_v"), (gain, direction), strict=True):
        out[weight.removesuffix("weight") + end] = value
    return {prefix + name: value for name, value in out.items()}


def written(folder: Path, **changes) -> Path:
    """Make a backbone's folder as on the Hub; `changes` are fields of its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(published(made(**changes), "old"), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return folder


@pytest.mark.parametrize("dialect", ["old", "new", "fairseq"])
@pytest.mark.parametrize("prefix", ["", "wavlm.", "semantic.model."])
@pytest.mark.parametrize("large", [False, True])
def test_every_dialect_gives_the_same_model(dialect: str, prefix: str, large: bool) -> None:
    model = made(**(LARGE if large else {}))
    tensors = published(model, dialect, prefix)
    tensors |= {prefix + "masked_spec_embed": torch.zeros(16), "lm_head.weight": torch.zeros(3, 16)}
    read = speech_model(tensors, model.sizes)
    sound = torch.randn(2000)
    torch.testing.assert_close(read.hidden_states(sound), model.hidden_states(sound), atol=1e-4, rtol=1e-4)
    assert not read.training and not any(parameter.requires_grad for parameter in read.parameters())


@pytest.mark.parametrize("large", [False, True])
def test_layers_above_are_left_where_they_are(large: bool) -> None:
    model = made(**(LARGE if large else {}))
    tensors = published(model, "new")
    part = speech_model(tensors, model.sizes, layers=1)
    assert len(part.layers) == 1 and hasattr(part, "norm") != large
    sound = torch.randn(2000)
    torch.testing.assert_close(part.hidden_states(sound), model.hidden_states(sound, (0, 1)), atol=1e-4, rtol=1e-4)
    assert layers_of(speech_tensors(tensors)) == 3 and layers_of(speech_tensors(tensors, layers=0)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.layers.1.attention.k_proj.bias"), "layers.1.attention"),
        (lambda t: t.update({"encoder.layers.1.odd.bias": torch.zeros(1)}), "encoder.layers.1.odd.bias"),
        (lambda t: t.pop("encoder.pos_conv_embed.conv.weight_g"), "weight_g"),
        (lambda t: t["encoder.layer_norm.bias"].fill_(float("nan")), "NaN"),
        (lambda t: t.update({"encoder.layer_norm.bias": torch.zeros(3)}), "norm.bias"),
        (lambda t: t.pop("feature_extractor.conv_layers.0.conv.weight"), "none of HuBERT"),
        (lambda t: t.update({"b.feature_extractor.conv_layers.0.0.weight": torch.zeros(1)}), "holds 2"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change, message: str) -> None:
    model = made()
    tensors = {name: value.clone() for name, value in published(model, "old").items()}
    change(tensors)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        speech_model(tensors, model.sizes, where="a.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "data2vec-audio"}, "model_type"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"conv_pos_batch_norm": True}, "conv_pos_batch_norm"),
        ({"add_adapter": True}, "add_adapter"),
        ({"adapter_attn_dim": 16}, "adapters"),
        ({"layer_norm_eps": 0}, "layer_norm_eps"),
        ({"hidden_size": 15}, "do not fit"),
        ({"conv_dim": [8] * 3}, "do not fit"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm"),
    ],
)
def test_configurations_of_other_models_are_refused(change: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        speech_sizes(CONFIG | change)


def test_what_a_configuration_leaves_out_is_as_usual() -> None:
    assert speech_sizes({"model_type": "hubert"}) == SpeechSizes()
    assert speech_sizes({"model_type": "wavlm"}, normalise=1e-7) == SpeechSizes(buckets=320, normalise=1e-7)


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
@pytest.mark.parametrize("normalise", [True, False])
def test_a_folder_as_on_the_hub(tmp_path: Path, kind: str, normalise: bool) -> None:
    from safetensors.torch import save_file

    model = made()
    tensors = published(model, "new" if kind == "safetensors" else "old", "wavlm.")
    if kind == "bin":
        torch.save(tensors, tmp_path / "pytorch_model.bin")
    else:
        save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(CheckpointError, match="preprocessor_config"):
        load_speech_model(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": normalise}))
    read = load_speech_model(tmp_path, layers=2)
    assert read.sizes == dataclasses.replace(model.sizes, normalise=1e-7 if normalise else None)
    assert load_speech_model(tmp_path, normalise=not normalise).sizes != read.sizes
    assert len(read.layers) == 2


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    torch.save(published(made(), "old"), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load_speech_model(tmp_path)
