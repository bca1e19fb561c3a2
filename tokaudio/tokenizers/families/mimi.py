"""Mimi (Défossez et al. 2024, arXiv:2410.00037): 12.5 frames a second, one semantic codebook and 31 acoustic ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tokaudio import catalogue
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.mimi import MimiDecoder, MimiEncoder, TransformerSizes
from tokaudio.nn.seanet import SEANet
from tokaudio.quantizers import SplitResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Streaming
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.mimi_files import PREFER, layout_of, our_tensors
from tokaudio.tokenizers.families.mimi_sizes import encoder_config, network_of, sizes_of
from tokaudio.tokenizers.published import PublishedSource

# Where the two implementations of Mimi differ: what completes the last frame of a signal.
Fill = Literal["signal", "layers"]


class Mimi(Codec):
    """A causal SEANet with transformers, and two quantizers side by side.

    All 32 codebooks are used unless fewer are asked for; the authors' own package takes the first 8 by default. State
    is carried from block to block: memory does not grow with duration, and pieces give the codes of the whole.

    Attributes:
        fill: `"signal"` where zeros complete the last frame of the sound, as the authors' package does; `"layers"`
            where every layer completes its own last step, as the port in transformers does. Only the codes of a last
            frame that is not full can differ.

    Example:
        >>> spec = TokenizerSpec("tiny", "hybrid", 24_000, 16, (CodebookSpec(8, role="semantic"), CodebookSpec(8)))
        >>> network = {"filters": 2, "dimension": 8, "ratios": [4, 2], "conv_shortcut": False}
        >>> transformer = {"layers": 1, "heads": 2, "hidden": 8}
        >>> quantizer = {"codebook_size": 8, "num_codebooks": 2, "codebook_dim": 4}
        >>> parts = {"network": network, "transformer": transformer, "quantizer": quantizer}
        >>> codec = Mimi.from_config({"spec": spec.to_dict(), **parts})
        >>> import torch
        >>> codec.encode(torch.zeros(33)).codes.shape
        torch.Size([1, 2, 3])
    """

    FAMILY, TITLE = "mimi", "Mimi"
    # Longer than elsewhere: at 25 steps a second, two seconds of them use the weights of the transformers too little.
    block_seconds = 8.0

    def __init__(
        self,
        spec: TokenizerSpec,
        network: SEANet,
        transformer: TransformerSizes,
        quantizer: SplitResidualVectorQuantizer,
        *,
        stride: int = 2,
        depthwise: bool = True,
        fill: Fill = "layers",
    ) -> None:
        """Make an untrained Mimi.

        Args:
            spec: its facts; hop, channels and codebooks must agree with the network.
            network: sizes of the SEANet, which is causal and has no LSTM.
            transformer: sizes of both transformers.
            quantizer: of the SEANet's dimension.
            stride: steps of the transformers per frame.
            depthwise: see [`MimiDecoder`][tokaudio.nn.mimi.MimiDecoder].
            fill: what completes the last frame.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        encoder = MimiEncoder(network, transformer, stride=stride)
        decoder = MimiDecoder(network, transformer, stride=stride, depthwise=depthwise)
        super().__init__(spec, encoder, quantizer, decoder)
        self.network, self.transformer = network, transformer
        self.frame_stride, self.depthwise, self.fill = stride, depthwise, fill
        if fill not in ("signal", "layers"):
            raise CheckpointError(f"{spec.name}: fill is {fill!r}; it must be 'signal' or 'layers'")
        for name, facts, parts in (
            ("hop_length", spec.hop_length, network.hop_length * stride),
            ("channels", spec.channels, network.channels),
            ("latent width", quantizer.dim, network.dimension),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in one part and {parts} in the network")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Mimi:
        """Make an untrained Mimi from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or impossible.
        """
        try:
            network = network_of(config["network"])
            quantizer = SplitResidualVectorQuantizer(network.dimension, **config["quantizer"])
            options = {name: config[name] for name in ("stride", "depthwise", "fill") if name in config}
            sizes = TransformerSizes(**config["transformer"])
            return cls(TokenizerSpec.from_dict(config["spec"]), network, sizes, quantizer, **options)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit Mimi: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        quantizer, size = self.quantizer, self.spec.codebook_sizes[0]
        assert isinstance(quantizer, SplitResidualVectorQuantizer)
        return {
            "family": self.FAMILY,
            **encoder_config(self.network, self.transformer, quantizer, codebook_size=size),
            "stride": self.frame_stride,
            "depthwise": self.depthwise,
            "fill": self.fill,
        }

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the names of either published layout."""
        return layout_of(source) is not None

    @classmethod
    def from_published(cls, source: PublishedSource) -> Mimi:
        """Load the files of transformers, or those of the authors.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not fit.
        """
        layout, where = layout_of(source), str(source.checkpoint(PREFER).path)
        if layout is None:
            raise CheckpointError(one_line(where, "holds no Mimi", "load it with Tokenizer.from_pretrained"))
        sizes = sizes_of(source, layout)
        config = {**sizes, "spec": spec_of(source, sizes).to_dict()}
        tensors, origins = our_tensors(source, layout, sizes["transformer"]["heads"])
        published = {origins[name]: value for name, value in tensors.items()}
        return build(lambda: cls.from_config(config), published, where, names=origins)

    def padded_length(self, num_samples: int) -> int:
        """Return the samples up to which zeros complete a signal: whole frames, or none where the layers do it."""
        return super().padded_length(num_samples) if self.fill == "signal" else num_samples

    def streaming(self, *, num_codebooks: int | None = None, block_frames: int | None = None) -> Streaming:
        """Return an encoder and a decoder for sound that arrives in pieces.

        Args:
            num_codebooks: use only the first so many codebooks; None for all.
            block_frames: give results after every so many frames (1 for every 80 ms), at once and not after twelve
                seconds. Runs with one number of frames agree to the last bit; with another, and with `encode`, up to
                rounding, which decides between codewords that are equally near.

        Raises:
            ValueError: if a number is out of range.
        """
        return self._answering(super().streaming(num_codebooks=num_codebooks), block_frames)


def spec_of(source: PublishedSource, sizes: Mapping[str, Any]) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    entry = catalogue.find(source.name)
    known = entry.spec if entry is not None and entry.family == Mimi.FAMILY else None
    semantic, count = sizes["quantizer"]["num_semantic"], sizes["quantizer"]["num_codebooks"]
    size = sizes["quantizer"]["codebook_size"]
    return TokenizerSpec(
        name=known.name if known else source.name,
        kind="hybrid",
        sample_rate=sizes["sample_rate"],
        hop_length=SEANet(ratios=sizes["network"]["ratios"]).hop_length * sizes["stride"],
        codebooks=(CodebookSpec(size, role="semantic"),) * semantic + (CodebookSpec(size),) * (count - semantic),
        channels=sizes["network"]["channels"],
        causal=True,
        chunking="state",
        licence=known.licence if known else "",
        paper=known.paper if known else "arXiv:2410.00037",
        origin=known.origin if known else "",
    )
