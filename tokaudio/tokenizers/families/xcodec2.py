"""XCodec2 (arXiv:2502.04128) and NeuCodec (arXiv:2509.09550): one code of 65,536 per 20 ms.

w2v-BERT 2.0 hears what is said, convolutions hear how it sounds, and both go into one finite scalar code.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from tokaudio.audio.kaldi_mel import HOP, RATE
from tokaudio.checkpoints import fold_weight_norm, folded_names, read_checkpoint, read_shapes
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.bigcodec import bigcodec_encoder
from tokaudio.nn.stages import Stage
from tokaudio.nn.xcodec2 import TransformerVocos
from tokaudio.quantizers import FiniteScalarQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.families import xcodec2_files as files
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.families.xcodec2_encoder import HeardEncoder
from tokaudio.tokenizers.families.xcodec2_files import XCodec2Shape
from tokaudio.tokenizers.families.xcodec2_names import published_names
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.windowed import WindowedCodec


class TwiceBounded(FiniteScalarQuantizer):
    """Finite scalar quantization that squashes its input twice, as the published models were trained.

    Example:
        >>> import torch
        >>> TwiceBounded(2, (4, 4)).encode(torch.tensor([[[-9.0, 9.0], [0.0, 0.6]]]))
        tensor([[[ 8, 15]]])
    """

    def bound(self, rows: Tensor) -> Tensor:
        """Squash rows `[..., len(levels)]`, twice."""
        return super().bound(super().bound(rows))


class XCodec2(WindowedCodec):
    """Layer 16 of w2v-BERT 2.0 beside BigCodec's convolutions, one code per frame, and a transformer on the way back.

    Attention in both directions sees the whole signal, and so do the statistics that scale the mel energies. Long
    signals are cut, as [`WindowedCodec`][tokaudio.tokenizers.windowed.WindowedCodec] says, and decoded in the same way.

    Example:
        >>> speech = {"width": 64, "hidden": 64, "layers": 1, "heads": 1}
        >>> network = {"encoder_dim": 2, "dim": 64, "hidden": 64, "layers": 1, "levels": (4, 4), "speech": speech}
        >>> spec = TokenizerSpec("tiny", "hybrid", 16_000, 320, (CodebookSpec(16),), least_padding=1)
        >>> codec = XCodec2.from_config({"network": network, "spec": spec.to_dict()}).eval()
        >>> import torch
        >>> codec.encode(torch.zeros(3_200)).codes.shape
        torch.Size([1, 1, 11])
    """

    FAMILY, TITLE = "xcodec2", "XCodec2"
    paper: ClassVar[str] = "arXiv:2502.04128"

    block_seconds = 4.0
    # A minute, and the frame that its padding is.
    window_seconds = 60.03
    encoder: HeardEncoder
    decoder: TransformerVocos

    def __init__(self, spec: TokenizerSpec, shape: XCodec2Shape) -> None:
        """Make an untrained one.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        for name, facts, parts in (
            ("sample_rate", spec.sample_rate, RATE),
            ("channels", spec.channels, 1),
            ("hop_length", spec.hop_length, shape.hop_length),
            ("hop_length", shape.hop_length, 2 * HOP),
            ("output rate", spec.output_sample_rate * shape.hop_length, shape.decode_hop * RATE),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in the spec and {parts} in the network")
        acoustic = bigcodec_encoder(shape.encoder_dim, shape.strides, shape.dim, lstm_layers=0)
        super().__init__(
            spec,
            HeardEncoder(acoustic, shape.dim, shape.speech.make(), edge=shape.edge),
            TwiceBounded(shape.latents, shape.levels),
            TransformerVocos(shape.latents, shape.dim, shape.hidden, layers=shape.layers, hop_length=shape.decode_hop),
        )
        self.shape = shape

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> XCodec2:
        """Make an untrained one from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or impossible.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), XCodec2Shape(**config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit {cls.TITLE}: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dataclasses.asdict(self.shape)}

    # --- published files -------------------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether files are of this family, in either layout."""
        found = _codec_file(source)
        if found is None:
            return False
        path, layout = found
        return files.is_neucodec(read_shapes(path), source.config, layout) == issubclass(cls, NeuCodec)

    @classmethod
    def from_published(cls, source: PublishedSource) -> XCodec2:
        """Make it from the authors' file or from transformers' folder.

        The speech model may lie in a file of its own beside it.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not agree.
        """
        found = _codec_file(source)
        if found is None:
            problem = f"holds no {cls.TITLE}"
            raise CheckpointError(one_line(source.path, problem, "load it with Tokenizer.from_pretrained"))
        (path, layout), where = found, str(found[0])
        tensors = files.prepared(read_checkpoint(path).tensors, layout, where)
        if layout == "original":
            tensors = _with_speech_model(tensors, source, where)
            shapes = {name: tuple(value.shape) for name, value in tensors.items()}
            shape = files.shape_from_tensors(shapes, neucodec=issubclass(cls, NeuCodec), where=where)
        else:
            shape = files.shape_from_config(source.config or {}, where)
            tensors = files.joined_rows(tensors, shape.layers, where)
        tensors = fold_weight_norm(tensors, where=where)
        spec = cls.spec_of(source, shape)
        names = published_names(shape, layout)
        return build(lambda: cls(spec, shape), tensors, where, names=names)

    @classmethod
    def spec_of(cls, source: PublishedSource, shape: XCodec2Shape) -> TokenizerSpec:
        """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
        facts = known_facts(source.name)
        size = 1
        for levels in shape.levels:
            size *= levels
        rate = RATE * shape.decode_hop // shape.hop_length
        return TokenizerSpec(
            name=facts.name,
            kind="hybrid",
            sample_rate=RATE,
            decode_sample_rate=None if rate == RATE else rate,
            hop_length=shape.hop_length,
            codebooks=(CodebookSpec(size, role="joint"),),
            licence=facts.licence,
            paper=facts.paper or cls.paper,
            origin=facts.origin,
            least_padding=cls.least_padding(shape),
        )

    @classmethod
    def least_padding(cls, shape: XCodec2Shape) -> int:
        """Return the zeros that follow the last sample at least: a full last frame gets one frame more."""
        return 1

    # --- stages ----------------------------------------------------------------------------------------------------

    def encoder_stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to latents `[T, D]`."""
        self.encoder.windows = self.windows
        return self.encoder.stage()

    def decoder_stage(self) -> Stage:
        """Return a fresh stage from vectors `[T, D]` to samples `[n, 1]`."""
        self.decoder.windows = self.windows
        return self.decoder.stage()


class NeuCodec(XCodec2):
    """XCodec2 that gives sound at 24 kHz.

    As in the published code, a frame needs the 20 ms that follow it: samples after the last whole frame of 320 have no
    code, and are decoded as silence. Shorter signals are filled up to one frame.

    Example:
        >>> speech = {"width": 64, "hidden": 64, "layers": 1, "heads": 1}
        >>> network = {"encoder_dim": 2, "dim": 64, "hidden": 64, "layers": 1, "levels": (4, 4), "speech": speech}
        >>> spec = TokenizerSpec("tiny", "hybrid", 16_000, 320, (CodebookSpec(16),), 24_000, least_padding=-319)
        >>> config = {"network": {**network, "decode_hop": 480, "edge": 0}, "spec": spec.to_dict()}
        >>> codec = NeuCodec.from_config(config).eval()
        >>> import torch
        >>> tokens = codec.encode(torch.zeros(3_200))
        >>> tokens.codes.shape, codec.decode(tokens).shape
        (torch.Size([1, 1, 10]), torch.Size([1, 1, 4800]))
    """

    FAMILY, TITLE = "neucodec", "NeuCodec"
    paper: ClassVar[str] = "arXiv:2509.09550"

    @classmethod
    def least_padding(cls, shape: XCodec2Shape) -> int:
        """Return the zeros that follow the last sample at least: less than none, as a rest has no frame."""
        return 1 - shape.hop_length

    def padded_length(self, num_samples: int) -> int:
        """Return the samples that a signal is filled up to: those of its frames and one more frame."""
        return (self.spec.num_frames(num_samples) + 1) * self.spec.hop_length


def _codec_file(source: PublishedSource) -> tuple[Path, str] | None:
    """Return the file that holds the codec and the layout of its names; None if there is none."""
    candidates = source.weight_files()
    if source.path.is_dir() and len(candidates) > 1:
        with contextlib.suppress(CheckpointError):
            candidates = [source.weight_file(), *candidates]
    for path in candidates:
        layout = files.layout_of(folded_names(read_shapes(path)))
        if layout is not None:
            return path, layout
    return None


def _with_speech_model(tensors: dict[str, Tensor], source: PublishedSource, where: str) -> dict[str, Tensor]:
    """Return the tensors with those of the speech model, from a file beside it if they are not among them."""
    if any(name.startswith("semantic_model.") for name in tensors):
        return tensors
    folder = source.path if source.path.is_dir() else source.path.parent
    for path in PublishedSource(folder).weight_files():
        if str(path) != where and files.SPEECH_MARK in read_shapes(path):
            found = read_checkpoint(path).tensors
            speech = {f"semantic_model.{name}": value for name, value in found.items() if not files.beyond(name)}
            return {**tensors, **{name: value for name, value in speech.items() if "masked_spec_embed" not in name}}
    problem = "does not hold the speech model w2v-BERT 2.0 that it was trained with"
    raise CheckpointError(one_line(where, problem, "put model.safetensors of facebook/w2v-bert-2.0 beside it"))
