"""Sizes of X-Codec and of the Higgs tokenizer, read from published configurations.

transformers' `config.json` states all of them. The first releases state the strides and the codebooks, and name the
network that hears; the rest they take for granted, and the tensors tell.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.ssl import SpeechSizes
from tokaudio.tokenizers.backbones import speech_sizes
from tokaudio.tokenizers.families.fields import Fields

# What the first releases call the network that hears, and what it is.
_TEACHERS = {"hubert_base": "hubert", "hubert_base_general": "hubert", "wavlm_base_plus": "wavlm"}
_ACOUSTIC = {
    "encoder_hidden_size": 64,
    "downsampling_ratios": [8, 5, 4, 2],
    "decoder_hidden_size": 1024,
    "upsampling_ratios": [8, 5, 4, 2],
    "hidden_size": 256,
}
_USUAL: dict[str, Any] = {
    "kernel_size": 3,
    "channel_ratios": [1, 1],
    "strides": [1, 1],
    "block_dilations": [1, 1],
    "unit_kernel_size": 3,
    "codebook_size": 1024,
    "target_bandwidths": [0.5, 1, 1.5, 2, 4],
    "semantic_sample_rate": 16_000,
}
# Sample rates where a configuration leaves them out, which is where they are as usual.
_RATES = {"xcodec": 16_000, "higgs_audio_v2_tokenizer": 24_000}


@dataclass(frozen=True, slots=True)
class XCodecSizes:
    """What a codec of two branches is made of; the defaults are X-Codec's.

    Attributes:
        sample_rate: Hz.
        encoder_dim: channels after the acoustic encoder's first convolution.
        encoder_rates: its strides.
        acoustic_dim: width of its result.
        decoder_dim: channels after the decoder's first convolution.
        decoder_rates: its strides.
        speech: the network that hears.
        speech_rate: Hz of what it hears.
        kernel_size: taps of the semantic branch's first convolution.
        blocks: of its units.
        dilations: of the units in each block.
        unit_kernel_size: taps of a unit.
        num_codebooks: K.
        codebook_size: V.
        codebook_dim: width of the search; 0 for that of what is quantized.
        latent_dim: D, width of what is quantized; 0 for that of both branches together.

    Raises:
        ValueError: sizes do not fit together.

    Example:
        >>> XCodecSizes().hop_length, XCodecSizes().latent_dim
        (320, 1024)
    """

    sample_rate: int = 16_000
    encoder_dim: int = 64
    encoder_rates: tuple[int, ...] = (8, 5, 4, 2)
    acoustic_dim: int = 256
    decoder_dim: int = 1024
    decoder_rates: tuple[int, ...] = (8, 5, 4, 2)
    speech: SpeechSizes = field(default_factory=SpeechSizes)
    speech_rate: int = 16_000
    kernel_size: int = 3
    blocks: int = 2
    dilations: tuple[int, ...] = (1, 1)
    unit_kernel_size: int = 3
    num_codebooks: int = 8
    codebook_size: int = 1024
    codebook_dim: int = 0
    latent_dim: int = 0

    def __post_init__(self) -> None:
        for name in ("encoder_rates", "decoder_rates", "dilations"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "latent_dim", self.latent_dim or self.acoustic_dim + self.speech.width)
        blocks, rates = len(self.encoder_rates), self.decoder_rates
        if math.prod(rates) != self.hop_length or len(rates) != blocks or self.decoder_dim % (1 << blocks):
            raise ValueError(f"a decoder of {self.decoder_dim} channels and rates {rates}")
        if not self.kernel_size % 2 or not self.unit_kernel_size % 2:
            raise ValueError(f"kernels of {self.kernel_size} and {self.unit_kernel_size} taps, which must be odd")
        speech = self.speech
        if speech.normalise is not None:
            raise ValueError("a network that hears normalised sound")
        hop = self.hop_length * self.speech_rate
        if (
            hop % (self.sample_rate * speech.hop_length)
            or not speech.hop_length < speech.shortest <= 2 * speech.hop_length
        ):
            raise ValueError(f"branches with other numbers of frames at a hop of {self.hop_length}")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.encoder_rates)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values.

        Example:
            >>> XCodecSizes().to_dict()["speech"]["layers"]
            12
        """
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> XCodecSizes:
        """Return the sizes that `to_dict` gave.

        Raises:
            KeyError: there is no network that hears.
            TypeError: a field is unknown.
            ValueError: sizes do not fit together.

        Example:
            >>> XCodecSizes.from_dict(XCodecSizes(num_codebooks=4).to_dict()) == XCodecSizes(num_codebooks=4)
            True
        """
        speech: dict[str, Any] = dict(values["speech"])
        lists = {name: tuple(value) for name, value in speech.items() if isinstance(value, list)}
        return cls(**{**values, "speech": SpeechSizes(**{**speech, **lists})})


def sizes_of_transformers(config: Mapping[str, Any], where: str) -> XCodecSizes:
    """Return the sizes that a `config.json` of transformers states.

    Args:
        config: its fields; `model_type` tells X-Codec and Higgs apart.
        where: the file, for messages.

    Raises:
        CheckpointError: if a field is impossible, or says what no published weights are.

    Example:
        >>> config = {"model_type": "xcodec", "semantic_model_config": {"model_type": "wavlm"}}
        >>> sizes_of_transformers(config, "config.json").speech.buckets
        320
    """
    fields = Fields({**_USUAL, **config}, where)
    kind = fields.choice("model_type", list(_RATES))
    acoustic = Fields({**_ACOUSTIC, **(config.get("acoustic_model_config") or {})}, where)
    speech = speech_sizes({"model_type": "hubert", **(config.get("semantic_model_config") or {})}, where=where)
    for name in ("strides", "channel_ratios"):
        if any(value != 1 for value in fields.wholes(name)):
            raise CheckpointError(one_line(where, f"has {name} other than 1", "give published weights"))
    rate = Fields({"sample_rate": _RATES[kind], **config}, where).whole("sample_rate")
    sizes = {
        "sample_rate": rate,
        "encoder_dim": acoustic.whole("encoder_hidden_size"),
        "encoder_rates": acoustic.wholes("downsampling_ratios"),
        "acoustic_dim": acoustic.whole("hidden_size"),
        "decoder_dim": acoustic.whole("decoder_hidden_size"),
        "decoder_rates": acoustic.wholes("upsampling_ratios"),
        "speech": speech,
        "speech_rate": rate if kind == "xcodec" else fields.whole("semantic_sample_rate"),
        "kernel_size": fields.whole("kernel_size"),
        "blocks": len(fields.wholes("strides")),
        "dilations": fields.wholes("block_dilations"),
        "unit_kernel_size": fields.whole("unit_kernel_size"),
        "codebook_size": fields.whole("codebook_size"),
        "codebook_dim": 0 if kind == "xcodec" else Fields({"codebook_dim": 64, **config}, where).whole("codebook_dim"),
    }
    return _made(sizes | {"num_codebooks": _codebooks(fields, rate, sizes)}, where)


def _codebooks(fields: Fields, rate: int, sizes: Mapping[str, Any]) -> int:
    """Return how many codebooks the highest bandwidth (kbps) has room for."""
    bandwidths = fields.get("target_bandwidths")
    most = bandwidths[-1] if isinstance(bandwidths, list) and bandwidths else None
    if not isinstance(most, (int, float)) or not 0 < most < 1e6:
        problem = f"has target_bandwidths {str(bandwidths)[:60]}"
        raise CheckpointError(one_line(fields.where, problem, "it must be a list of numbers above 0"))
    frames = math.ceil(rate / math.prod(sizes["encoder_rates"]))
    return int(1000 * most // (frames * math.ceil(math.log2(sizes["codebook_size"]))))


def sizes_of_original(config: Mapping[str, Any], tensors: Mapping[str, Tensor], where: str) -> XCodecSizes:
    """Return the sizes of a first release.

    Args:
        config: its fields: of X-Codec's YAML file, or of the Higgs tokenizer's `config.json`.
        tensors: by published names, weight norm folded.
        where: the file, for messages.

    Raises:
        CheckpointError: if a field or a tensor is missing, or says what no published weights are.
    """
    generator = config.get("generator")
    fields = Fields(config, where)
    if isinstance(generator, Mapping):
        fields = fields.section("generator").section("config")
    fields = Fields({"semantic_techer": "hubert_base_general", **fields.values}, where)
    if isinstance(fields.values.get("bins"), list):
        problem = "has a quantizer of finite scalars"
        raise CheckpointError(one_line(where, problem, "give the published weights, which have codebooks"))
    if fields.values.get("downsample_mode", "step_down") != "step_down":
        raise CheckpointError(one_line(where, "has another downsample_mode than step_down", "give published weights"))
    kind = _TEACHERS[fields.choice("semantic_techer", list(_TEACHERS))]
    rate, ratios, size = fields.whole("sample_rate"), fields.wholes("ratios"), fields.whole("bins")
    shapes = _Shapes(tensors, where)
    latents, width = shapes["fc_prior.weight"][0], shapes["quantizer.vq.layers.0._codebook.embed"][1]
    speech_rate = fields.values.get("semantic_sample_rate")
    sizes = {
        "sample_rate": rate,
        "encoder_dim": shapes["encoder.block.0.weight"][0],
        "encoder_rates": ratios,
        "acoustic_dim": fields.whole("D"),
        "decoder_dim": shapes["decoder_2.model.0.weight"][0],
        "decoder_rates": ratios,
        "speech": speech_sizes(_speech_config(kind, shapes), where=where),
        "speech_rate": 16_000 if speech_rate is None else fields.whole("semantic_sample_rate"),
        "codebook_size": size,
        "codebook_dim": 0 if width == latents else width,
        "latent_dim": latents,
    }
    if "n_q" in fields.values:
        return _made(sizes | {"num_codebooks": fields.whole("n_q")}, where)
    return _made(sizes | {"num_codebooks": _codebooks(fields, rate, sizes)}, where)


def _speech_config(kind: str, shapes: _Shapes) -> dict[str, Any]:
    """Return the configuration of a base model as large as its tensors."""
    prefix, layer = "semantic_model.", "semantic_model.encoder.layers."
    layers = shapes.count(layer)
    convs = range(shapes.count(f"{prefix}feature_extractor.conv_layers."))
    positions = shapes[f"{prefix}encoder.pos_conv_embed.conv.weight"]
    config = {
        "model_type": kind,
        "num_hidden_layers": layers,
        "hidden_size": positions[0],
        "num_conv_pos_embedding_groups": positions[0] // positions[1],
        "num_conv_pos_embeddings": positions[2],
        "intermediate_size": shapes[f"{layer}0.feed_forward.intermediate_dense.bias"][0],
        "conv_dim": [shapes[f"{prefix}feature_extractor.conv_layers.{n}.conv.weight"][0] for n in convs],
    }
    if kind == "wavlm":
        config["num_buckets"] = shapes[f"{layer}0.attention.rel_attn_embed.weight"][0]
    return config


class _Shapes:
    """Shapes of tensors by name; what is missing is refused by name."""

    def __init__(self, tensors: Mapping[str, Tensor], where: str) -> None:
        self._tensors, self._where = tensors, where

    def __getitem__(self, name: str) -> tuple[int, ...]:
        if name not in self._tensors or not self._tensors[name].dim():
            raise CheckpointError(one_line(self._where, f"lacks tensor {name!r}", "get an intact copy"))
        # So that a tensor with too few axes is refused later, by its shape.
        return (*self._tensors[name].shape, 1, 1)

    def count(self, prefix: str) -> int:
        """Return one more than the highest number that follows a prefix."""
        parts = (name.removeprefix(prefix).partition(".")[0] for name in self._tensors if name.startswith(prefix))
        return 1 + max((int(part) for part in parts if part.isdecimal()), default=-1)


def _made(sizes: dict[str, Any], where: str) -> XCodecSizes:
    try:
        return XCodecSizes(**sizes)
    except ValueError as error:
        raise CheckpointError(one_line(where, f"has sizes that do not fit ({error})", "get an intact copy")) from error
