"""FocalCodec (arXiv:2502.04465): one code of 8,192 per 20, 40 or 80 ms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.focal import FocalCompressor, FocalDecompressor
from tokaudio.nn.focalcodec import FocalDecoder, FocalEncoder
from tokaudio.nn.ssl import SpeechModel
from tokaudio.nn.stages import Stage
from tokaudio.quantizers.binary import BinarySphericalQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.families import focalcodec_files as files
from tokaudio.tokenizers.families.fields import Facts, known_facts
from tokaudio.tokenizers.families.focalcodec_files import RATE, FocalCodecShape, FocalStack
from tokaudio.tokenizers.families.focalcodec_names import needed_tensors
from tokaudio.tokenizers.pieces import joined
from tokaudio.tokenizers.published import PublishedSource, build
from tokaudio.tokenizers.windowed import WindowedCodec

_PARTS = {"compressor.out_proj.weight", "decompressor.in_proj.weight", "decoder.head.proj.weight"}


class FocalCodec(WindowedCodec):
    """Six layers of WavLM, focal modulation down to the signs of 13 numbers, and back through a Vocos vocoder.

    The attention of WavLM sees the whole signal, and so do the averages of focal modulation. Long signals are cut for
    encoding, as [`WindowedCodec`][tokaudio.tokenizers.windowed.WindowedCodec] says. Decoding is exact at any length, in
    pieces: their averages are found first. A stream of it gives everything at its end.

    Example:
        >>> import torch
        >>> stack = {"input_dim": 16, "output_dim": 4, "hidden_dims": [8], "downscale_factors": [1], "focal_window": 3}
        >>> back = {"input_dim": 4, "output_dim": 16, "hidden_dims": [8], "upscale_factors": [1], "focal_window": 3}
        >>> speech = {"hidden_dims": [4] * 7, "num_layers": 1, "dim": 16, "ffn_dim": 16, "num_heads": 2}
        >>> config = {
        ...     "encoder_config": speech,
        ...     "compressor_config": stack,
        ...     "quantizer_config": {"codebook_size": 16},
        ...     "decompressor_config": back,
        ...     "decoder_config": {"input_dim": 16, "num_layers": 1, "dim": 8, "ffn_dim": 8},
        ... }
        >>> codec = FocalCodec.from_config(config).eval()
        >>> tokens = codec.encode(torch.zeros(16_000))
        >>> tokens.codes.shape, codec.decode(tokens).shape
        (torch.Size([1, 1, 49]), torch.Size([1, 1, 16000]))
    """

    FAMILY, TITLE = "focalcodec", "FocalCodec"

    # Slices of the speech model's convolutions are even then.
    block_seconds = 10.0
    encoder: FocalEncoder
    decoder: FocalDecoder

    def __init__(self, spec: TokenizerSpec, shape: FocalCodecShape) -> None:
        """Make an untrained one.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        wanted = _spec(shape, Facts(spec.name))
        for name in ("sample_rate", "channels", "hop_length", "output_sample_rate", "least_padding", "frame_multiple"):
            if getattr(spec, name) != getattr(wanted, name):
                facts = f"{getattr(spec, name)} in the spec and {getattr(wanted, name)} in the network"
                raise CheckpointError(f"{spec.name}: {name} is {facts}")
        speech = SpeechModel(shape.speech, layers=shape.speech.layers - 1)
        back = shape.decompressor
        super().__init__(
            spec,
            FocalEncoder(speech, FocalCompressor(*_arguments(shape.compressor))),
            BinarySphericalQuantizer(shape.compressor.out_width, entropy_weight=0.0),
            FocalDecoder(FocalDecompressor(*_arguments(back)), back.out_width, **shape.vocoder),
        )
        self.shape = shape

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FocalCodec:
        """Make an untrained one from the published configuration, and a `spec` if there is one.

        Raises:
            CheckpointError: if a field is impossible.
        """
        shape = files.shape_of(config, "config.json")
        given = config.get("spec")
        return cls(_spec(shape, Facts(cls.FAMILY)) if given is None else TokenizerSpec.from_dict(given), shape)

    def config(self) -> dict[str, Any]:
        """Return the family's name, and the configuration as it is published."""
        return {"family": self.FAMILY, **self.shape.settings}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the configuration names this family's parts, or the weights are of them."""
        if source.config is not None and {"compressor_config", "decompressor_config"} <= source.config.keys():
            return True
        return source.names() >= _PARTS

    @classmethod
    def from_published(cls, source: PublishedSource) -> FocalCodec:
        """Make it from published files of either layout.

        Raises:
            CheckpointError: if there is no configuration, or a tensor is missing, unknown, misshapen or non-finite.
        """
        if source.config is None:
            problem = "is a FocalCodec checkpoint without a configuration"
            raise CheckpointError(one_line(source.path, problem, "put the config.json of its folder beside it"))
        shape = files.shape_of(source.config, str(source.path))
        spec = _spec(shape, known_facts(source.name))
        tensors, names = needed_tensors(source.tensors())
        return build(lambda: cls(spec, shape), tensors, str(source.weight_file()), names=names)

    # --- the contract ----------------------------------------------------------------------------------------------

    def padded_length(self, num_samples: int) -> int:
        """Return the number of samples: nothing is added at the end, and a rest that makes no frame has no code."""
        return num_samples

    def encoder_stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to latents `[T, D]`."""
        self.encoder.windows = self.windows
        return self.encoder.stage()

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        pieces = self.decoder.pieces(self._dequantized(codes.T))
        return joined((piece.T for piece in pieces), self.spec.channels, num_samples, self.device)


def _arguments(stack: FocalStack) -> tuple[Any, ...]:
    return stack.in_width, stack.widths, stack.strides, stack.out_width, stack.sizes


def _spec(shape: FocalCodecShape, facts: Facts) -> TokenizerSpec:
    hop = shape.speech.hop_length * shape.stride
    rate = RATE * shape.vocoder["hop_length"] * shape.stride // hop
    return TokenizerSpec(
        name=facts.name,
        kind="hybrid",
        sample_rate=RATE,
        decode_sample_rate=None if rate == RATE else rate,
        hop_length=hop,
        codebooks=(CodebookSpec(2**shape.compressor.out_width, role="joint"),),
        licence=facts.licence,
        paper=facts.paper,
        origin=facts.origin,
        least_padding=1 - shape.speech.shortest,
    )
