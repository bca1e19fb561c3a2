"""How DualCodec's file names its tensors, and the sizes that follow from them.

The repository holds no configuration: what no tensor tells (24 kHz, convolutions that look back only, layer 17 of the
speech model) is the same for both published models. The statistics of the speech model's hidden states and the speech
model itself are files of their own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tokaudio.checkpoints import folded_names, read_checkpoint, read_shapes
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2BertSizes
from tokaudio.tokenizers.families.dac_files import DacShape
from tokaudio.tokenizers.families.dac_files import published_names as dac_names
from tokaudio.tokenizers.families.xcodec2_files import SPEECH_MARK
from tokaudio.tokenizers.families.xcodec2_names import speech_names
from tokaudio.tokenizers.published import PublishedSource

RATE = 24_000
# The published code asks for hidden state 15 + 2.
SPEECH_LAYERS = 17
_MARKS = {"semantic_vq.quantizers.0.codebook.weight", "dac.encoder.block.0.weight", "convnext_encoder.0.weight"}
_STATISTICS = {"mean", "var"}
Pairs = Iterator[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class DualCodecShape:
    """The sizes of a DualCodec; the defaults are those of the one at 12.5 Hz.

    Attributes:
        dac: of the acoustic half.
        semantic_dim: width of what the first codebook quantizes.
        hidden: width inside the ConvNeXt blocks.
        blocks: of them, on either side of the first codebook.
        semantic_size: V of the first codebook.
        speech: sizes of the speech model.

    Example:
        >>> DualCodecShape().dac.hop_length, DualCodecShape().codebook_sizes[:2]
        (1920, (16384, 4096))
    """

    dac: DacShape = dataclasses.field(
        default_factory=lambda: DacShape(
            encoder_dim=32, encoder_rates=(4, 5, 6, 8, 2), n_codebooks=7, codebook_size=4096
        )
    )
    semantic_dim: int = 768
    hidden: int = 2048
    blocks: int = 4
    semantic_size: int = 16_384
    speech: Wav2Vec2BertSizes = dataclasses.field(default_factory=lambda: Wav2Vec2BertSizes(layers=SPEECH_LAYERS))

    def __post_init__(self) -> None:
        if isinstance(self.dac, Mapping):
            object.__setattr__(self, "dac", DacShape(**self.dac))
        if isinstance(self.speech, Mapping):
            object.__setattr__(self, "speech", Wav2Vec2BertSizes(**self.speech))
        numbers = (self.semantic_dim, self.hidden, self.blocks, self.semantic_size)
        if not all(type(number) is int and number > 0 for number in numbers):
            raise ValueError(f"sizes {numbers} are not all whole numbers above 0")

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """V of each codebook."""
        return (self.semantic_size, *((self.dac.codebook_size,) * self.dac.n_codebooks))


def codec_file(source: PublishedSource) -> Path | None:
    """Return the file that holds the codec; None if there is none.

    Raises:
        CheckpointError: if there are several.
    """
    found = [path for path in source.weight_files() if folded_names(read_shapes(path)) >= _MARKS]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise CheckpointError(one_line(source.path, f"holds several DualCodecs ({names})", "give the path of one"))
    return found[0] if found else None


def beside(source: PublishedSource, marks: set[str], what: str, remedy: str) -> dict[str, Tensor]:
    """Return the tensors of the file with certain names that lies beside the codec.

    Raises:
        CheckpointError: if there is none.
    """
    folder = source.path if source.path.is_dir() else source.path.parent
    for path in PublishedSource(folder).weight_files():
        if marks <= read_shapes(path).keys():
            return read_checkpoint(path).tensors
    raise CheckpointError(one_line(folder, f"lacks {what} that DualCodec needs", remedy))


def speech_and_statistics(source: PublishedSource) -> dict[str, Tensor]:
    """Return the tensors of the speech model, under `speech.`, and of the statistics, under `statistics.`.

    Raises:
        CheckpointError: if a file is missing.
    """
    remedy = "put model.safetensors of facebook/w2v-bert-2.0 there"
    found = beside(source, {SPEECH_MARK}, "the speech model w2v-BERT 2.0", remedy)
    kept = {f"speech.{name}": value for name, value in found.items() if not _beyond(name)}
    remedy = "put w2vbert2_mean_var_stats_emilia.pt of amphion/dualcodec there"
    found = beside(source, _STATISTICS, "the statistics", remedy)
    return kept | {f"statistics.{name}": found[name].flatten() for name in _STATISTICS}


def _beyond(name: str) -> bool:
    match = re.match(r"encoder\.layers\.(\d+)\.", name)
    return name == "masked_spec_embed" or (match is not None and int(match[1]) >= SPEECH_LAYERS)


def shape_of(tensors: Mapping[str, Tensor], where: str) -> DualCodecShape:
    """Return the sizes that tensors, weight norm folded, have.

    Raises:
        CheckpointError: if a tensor that tells a size is missing or misshapen.
    """

    def size(name: str, axis: int) -> int:
        if name not in tensors or tensors[name].dim() <= axis:
            raise CheckpointError(one_line(where, f"lacks tensor {name!r}, or it is misshapen", "get an intact copy"))
        return int(tensors[name].shape[axis])

    def numbers(pattern: str) -> int:
        return len([name for name in tensors if re.fullmatch(pattern, name)])

    blocks = numbers(r"dac\.encoder\.block\.\d+\.block\.4\.bias")
    width, head = size("speech.encoder.layers.0.final_layer_norm.bias", 0), size(f"speech.{SPEECH_MARK}", 1)
    sizes = Wav2Vec2BertSizes()
    if size(f"speech.{SPEECH_MARK}", 0) != sizes.back + sizes.ahead + 1 or width % head:
        raise CheckpointError(one_line(where, "lies beside another speech model", "get facebook/w2v-bert-2.0"))
    try:
        dac = DacShape(
            encoder_dim=size("dac.encoder.block.0.bias", 0),
            encoder_rates=tuple(size(f"dac.encoder.block.{n + 1}.block.4.weight", 2) // 2 for n in range(blocks)),
            latent_dim=size("dac.decoder.model.0.weight", 1),
            decoder_dim=size("dac.decoder.model.0.bias", 0),
            decoder_rates=tuple(size(f"dac.decoder.model.{n + 1}.block.1.weight", 2) // 2 for n in range(blocks)),
            n_codebooks=numbers(r"dac\.quantizer\.quantizers\.\d+\.codebook\.weight"),
            codebook_size=size("dac.quantizer.quantizers.0.codebook.weight", 0),
            codebook_dim=size("dac.quantizer.quantizers.0.codebook.weight", 1),
        )
        return DualCodecShape(
            dac=dac,
            semantic_dim=size("convnext_encoder.0.bias", 0),
            hidden=size("convnext_encoder.1.pwconv1.bias", 0),
            blocks=numbers(r"convnext_encoder\.\d+\.dwconv\.bias"),
            semantic_size=size("semantic_vq.quantizers.0.codebook.weight", 0),
            speech=dataclasses.replace(
                sizes,
                inputs=size("speech.feature_projection.layer_norm.bias", 0),
                width=width,
                hidden=size("speech.encoder.layers.0.ffn1.intermediate_dense.bias", 0),
                layers=numbers(r"speech\.encoder\.layers\.\d+\.final_layer_norm\.bias"),
                heads=width // head,
                taps=size("speech.encoder.layers.0.conv_module.depthwise_conv.weight", 2),
            ),
        )
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(one_line(where, f"has sizes of no DualCodec ({error})", "get an intact copy")) from error


def published_names(shape: DualCodecShape) -> dict[str, str]:
    """Return the published name of every tensor of ours.

    Example:
        >>> names = published_names(DualCodecShape())
        >>> names["encoder.acoustic.entry.bias"], names["quantizer.widen.4.weight"]
        ('dac.encoder.block.0.bias', 'convnext_decoder.4.weight')
    """
    names = {}
    for ours, theirs in dac_names(shape.dac, "descript").items():
        own = re.sub(r"^encoder\.", "encoder.acoustic.", re.sub(r"^quantizer\.", "quantizer.acoustic.", ours))
        names[own] = f"dac.{theirs}"
    one = dataclasses.replace(shape.dac, n_codebooks=1)
    for ours, theirs in dac_names(one, "descript").items():
        if ours.startswith("quantizer."):
            key = ours.replace("quantizer.", "quantizer.semantic.", 1)
            names[key] = theirs.replace("quantizer.", "semantic_vq.", 1)
    for name in speech_names(shape.speech.layers):
        names[f"encoder.heard.speech.{name}"] = f"speech.{name}"
    names |= {"encoder.heard.mean": "statistics.mean", "encoder.heard.variance": "statistics.var"}
    names |= dict(_convnext("encoder.narrow", "convnext_encoder", 1, 0, shape.blocks))
    return names | dict(_convnext("quantizer.widen", "convnext_decoder", 0, shape.blocks, shape.blocks))


def _convnext(ours: str, theirs: str, first: int, product: int, blocks: int) -> Pairs:
    for end in ("weight", "bias"):
        yield f"{ours}.{product}.{end}", f"{theirs}.{product}.{end}"
        for block in range(first, first + blocks):
            for part in ("dwconv", "norm", "pwconv1", "pwconv2"):
                yield f"{ours}.{block}.{part}.{end}", f"{theirs}.{block}.{part}.{end}"
