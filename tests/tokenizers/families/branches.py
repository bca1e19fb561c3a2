"""Small codecs of two branches, and their published files, for the tests of X-Codec and Higgs."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from tokaudio.nn.ssl import SpeechSizes
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.families.higgs import Higgs
from tokaudio.tokenizers.families.xcodec import XCodec
from tokaudio.tokenizers.families.xcodec_files import Layout, names_of
from tokaudio.tokenizers.families.xcodec_sizes import XCodecSizes

# As deep as the published ones, since first releases do not state strides and heads; and a quick one for the laws.
DEEP = SpeechSizes(width=24, layers=2, inner=16, conv_widths=(4,) * 7, position_taps=6, position_groups=4)
QUICK = SpeechSizes(
    width=16, layers=2, heads=2, inner=24, position_taps=6, position_groups=4,
    conv_widths=(6, 6), conv_kernels=(10, 3), conv_strides=(5, 2),
)  # fmt: skip
_NARROW: dict[str, Any] = {
    "encoder_dim": 4,
    "acoustic_dim": 6,
    "decoder_dim": 32,
    "num_codebooks": 3,
    "codebook_size": 32,
}
SIZES: dict[str, XCodecSizes] = {
    "xcodec": XCodecSizes(speech=DEEP, **_NARROW),
    "wavlm": XCodecSizes(speech=dataclasses.replace(DEEP, buckets=16, max_distance=800), **_NARROW),
    "higgs": XCodecSizes(
        sample_rate=24_000, encoder_rates=(8, 5, 4, 2, 3), decoder_rates=(8, 5, 4, 2, 3), speech=DEEP, codebook_dim=4,
        **_NARROW,
    ),
    "quick": XCodecSizes(
        sample_rate=4_000, encoder_rates=(4, 5), decoder_rates=(4, 5), speech_rate=4_000, speech=QUICK, **_NARROW
    ),
    "quick-higgs": XCodecSizes(
        sample_rate=6_000, encoder_rates=(2, 5, 3), decoder_rates=(5, 3, 2), speech_rate=4_000, speech=QUICK,
        codebook_dim=4, **_NARROW,
    ),
}  # fmt: skip


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def make(name: str, num_codebooks: int = 3) -> XCodec:
    """Return a codec whose every tensor matters, with codebooks drawn from what its encoder gives."""
    torch.manual_seed(0)
    sizes = dataclasses.replace(SIZES[name], num_codebooks=num_codebooks)
    kind = Higgs if "higgs" in name else XCodec
    books = (CodebookSpec(sizes.codebook_size, role="joint"),) * sizes.num_codebooks
    spec = TokenizerSpec(f"tiny-{name}", "hybrid", sizes.sample_rate, sizes.hop_length, books)
    codec = kind(spec, sizes).eval().requires_grad_(False)
    for parameter, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.1 * torch.randn_like(value))
        elif parameter.startswith("encoder.acoustic"):
            value.mul_(1.5)
    latents = codec.features(noise(60 * sizes.hop_length))[0].T
    codec.encoder.join.bias.sub_(latents.mean(0))
    codec.quantizer.initialise((latents - latents.mean(0)) * 1.0)
    return codec


@functools.cache
def shared(name: str) -> XCodec:
    """Return a codec of `make` that is made once, for tests that do not change it."""
    return make(name)


_SPEECH = {
    "front.convs": "feature_extractor.conv_layers.{}.conv",
    "front.norms": "feature_extractor.conv_layers.{}.layer_norm",
    "front_norm": "feature_projection.layer_norm",
    "projection": "feature_projection.projection",
    "positions.conv": "encoder.pos_conv_embed.conv",
    "norm": "encoder.layer_norm",
    "attention.out": "attention.out_proj",
    "attention.gate": "attention.gru_rel_pos_linear",
    "norm1": "layer_norm",
    "norm2": "final_layer_norm",
    "up": "feed_forward.intermediate_dense",
    "down": "feed_forward.output_dense",
}


def _speech(name: str, value: Tensor) -> dict[str, Tensor]:
    """Return a tensor of the network that hears under its published name, or three of them."""
    stem, _, ending = name.rpartition(".")
    if stem == "distances.table":
        return {"encoder.layers.0.attention.rel_attn_embed.weight": value}
    if not stem.startswith("layers."):
        parts = stem.split(".")
        key = ".".join(parts[:2]) if stem.startswith("front.") else stem
        return {f"{_SPEECH[key].format(parts[-1])}.{ending}": value}
    _, number, part = stem.split(".", 2)
    prefix = f"encoder.layers.{number}."
    if ending == "gate_scale":
        return {f"{prefix}attention.gru_rel_pos_const": value[None, :, None, None]}
    if part == "attention.inputs":
        return {f"{prefix}attention.{w}_proj.{ending}": x for w, x in zip("qkv", value.chunk(3), strict=True)}
    return {f"{prefix}{_SPEECH[part]}.{ending}": value}


def published(codec: XCodec, layout: Layout) -> dict[str, Tensor]:
    """Return the state under published names, with weight norm and what training leaves behind."""
    names, tensors = names_of(codec.sizes, layout), {}
    for name, value in codec.state_dict().items():
        if name.startswith("encoder.semantic.listener."):
            heard = _speech(name.removeprefix("encoder.semantic.listener."), value)
            tensors |= {f"semantic_model.{theirs}": part.contiguous().clone() for theirs, part in heard.items()}
            continue
        theirs = names[name]
        value = value[None, :, None] if name.endswith("alpha") else value
        value = value[:, :, 0] if name in ("encoder.join.weight", "decoder.0.weight") else value
        tensors[theirs] = value.contiguous().clone()
        if name.endswith("book.table"):
            stem = theirs.removesuffix("embed")
            tensors |= {f"{stem}embed_avg": value.clone(), f"{stem}inited": torch.ones(1)}
            tensors[f"{stem}cluster_size"] = torch.ones(len(value))
    taught = "fc1" if layout == "transformers" else "fc_post1"
    tensors |= {f"{taught}.weight": torch.ones(2, 2), "decoder_semantic.conv1.weight": torch.ones(2, 2, 3)}
    tensors["semantic_model.masked_spec_embed"] = torch.ones(codec.sizes.speech.width)
    _norm(tensors, "semantic_model.encoder.pos_conv_embed.conv.", (0, 1), layout)
    if layout == "original":
        for name in [name for name in tensors if name.startswith(("encoder.", "decoder_2.")) and "weight" in name]:
            _norm(tensors, name.removesuffix("weight"), (1, 2), layout)
    return tensors


def _norm(tensors: dict[str, Tensor], stem: str, dims: tuple[int, int], layout: Layout) -> None:
    names = {"transformers": ("parametrizations.weight.original0", "parametrizations.weight.original1")}
    gain, direction = names.get(layout, ("weight_g", "weight_v"))
    weight = tensors.pop(f"{stem}weight")
    tensors[stem + gain], tensors[stem + direction] = weight.square().sum(dims, keepdim=True).sqrt(), 3 * weight


def publish(folder: Path, codec: XCodec, layout: Layout, change: dict[str, Any] | None = None, **fields: Any) -> Path:
    """Write published files and return their folder; `change` replaces tensors, None takes one or a field away."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes, higgs = codec.sizes, isinstance(codec, Higgs)
    tensors = {name: value for name, value in (published(codec, layout) | (change or {})).items() if value is not None}
    if layout == "transformers":
        config = {k: v for k, v in (transformers_config(sizes, higgs=higgs) | fields).items() if v is not None}
        (folder / "config.json").write_text(json.dumps(config))
        save_file(tensors, folder / "model.safetensors")
        return folder
    config = {
        "D": sizes.acoustic_dim,
        "ratios": list(sizes.encoder_rates),
        "sample_rate": sizes.sample_rate,
        "bins": sizes.codebook_size,
        "target_bandwidths": [0.25 * sizes.num_codebooks],
        "semantic_techer": "wavlm_base_plus" if sizes.speech.buckets else "hubert_base",
    }
    if higgs:
        config |= {"n_q": sizes.num_codebooks, "codebook_dim": sizes.codebook_dim}
    config = {name: value for name, value in (config | fields).items() if value is not None}
    if higgs:
        (folder / "config.json").write_text(json.dumps(config))
        torch.save(tensors, folder / "model.pth")
    else:
        (folder / "config_hubert.yaml").write_text(yaml.safe_dump({"generator": {"config": config}, "seed": 1}))
        torch.save({**tensors, "left": io.BytesIO(b"behind")}, folder / "xcodec.pth")
    return folder


def transformers_config(sizes: XCodecSizes, *, higgs: bool) -> dict[str, Any]:
    """Return what transformers writes."""
    speech = sizes.speech
    heard: dict[str, Any] = {
        "model_type": "wavlm" if speech.buckets else "hubert",
        "hidden_size": speech.width,
        "num_hidden_layers": speech.layers,
        "num_attention_heads": speech.heads,
        "intermediate_size": speech.inner,
        "conv_dim": list(speech.conv_widths),
        "conv_kernel": list(speech.conv_kernels),
        "conv_stride": list(speech.conv_strides),
        "num_conv_pos_embeddings": speech.position_taps,
        "num_conv_pos_embedding_groups": speech.position_groups,
    }
    if speech.buckets:
        heard |= {"num_buckets": speech.buckets, "max_bucket_distance": speech.max_distance}
    frames = -(-sizes.sample_rate // sizes.hop_length)
    bits = (sizes.codebook_size - 1).bit_length()
    config: dict[str, Any] = {
        "model_type": "higgs_audio_v2_tokenizer" if higgs else "xcodec",
        "acoustic_model_config": {
            "model_type": "dac",
            "encoder_hidden_size": sizes.encoder_dim,
            "downsampling_ratios": list(sizes.encoder_rates),
            "hidden_size": sizes.acoustic_dim,
            "decoder_hidden_size": sizes.decoder_dim,
            "upsampling_ratios": list(sizes.decoder_rates),
        },
        "semantic_model_config": heard,
        "sample_rate": sizes.sample_rate,
        "codebook_size": sizes.codebook_size,
        "target_bandwidths": [frames * bits / 1000, sizes.num_codebooks * frames * bits / 1000],
    }
    return config | ({"codebook_dim": sizes.codebook_dim, "semantic_sample_rate": sizes.speech_rate} if higgs else {})
