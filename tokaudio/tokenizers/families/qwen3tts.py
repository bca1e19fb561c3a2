"""The Qwen3-TTS tokenizer at 12 Hz (arXiv:2601.15621): Mimi's encoder with 16 codebooks, and a decoder of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.mimi import MimiEncoder, TransformerSizes
from tokaudio.nn.qwen3tts import DecoderSizes, QwenDecoder, Restarted
from tokaudio.nn.seanet import SEANet
from tokaudio.nn.stages import Stage, stage_of
from tokaudio.quantizers import SplitResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Streaming
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.families.mimi_sizes import encoder_config, network_of
from tokaudio.tokenizers.families.qwen3tts_files import MARKS, QwenSizes, our_tensors, sizes_of
from tokaudio.tokenizers.published import PublishedSource

# The published program decodes so many frames at a time, with so many before them as the only memory.
_FRAMES, _CONTEXT = 300, 25


class Qwen3TTS(Codec):
    """A causal encoder and a causal decoder, each with a quantizer.

    Codes are found with the encoder's codebooks and looked up in the decoder's: `codebooks`, `embed` and everything
    that is decoded come from the latter. State is carried from block to block, so that memory does not grow with
    duration, and pieces give the codes of the whole.

    Attributes:
        decode_frames: the decoder begins anew after so many frames, with 25 before them as its only memory, as the
            published program does every 300 frames (24 s); its sound differs a little from there on. None to let it run
            through, which is as fast and has no seams.

    Example:
        >>> spec = TokenizerSpec("tiny", "hybrid", 24_000, 8, (CodebookSpec(8, role="semantic"), CodebookSpec(8)))
        >>> network = {"filters": 2, "dimension": 8, "ratios": [2, 2], "conv_shortcut": False}
        >>> parts = {"network": network, "transformer": {"layers": 1, "heads": 2, "hidden": 8}}
        >>> parts["quantizer"] = {"codebook_size": 8, "num_codebooks": 2, "codebook_dim": 4}
        >>> small = {"layers": 1, "hidden_size": 8, "heads": 2, "head_dim": 4, "hidden": 8}
        >>> parts["decoder"] = {"vector_dim": 8, "latent_dim": 8, "width": 4, "rates": [2, 1], **small}
        >>> codec = Qwen3TTS.from_config({"spec": spec.to_dict(), **parts})
        >>> import torch
        >>> codec.encode(torch.zeros(33)).codes.shape
        torch.Size([1, 2, 5])
    """

    FAMILY, TITLE = "qwen3tts", "Qwen3-TTS"
    # As for Mimi: at 25 steps a second, two seconds use the weights of the transformers too little.
    block_seconds = 4.0

    def __init__(
        self,
        spec: TokenizerSpec,
        network: SEANet,
        transformer: TransformerSizes,
        quantizer: SplitResidualVectorQuantizer,
        *,
        words: SplitResidualVectorQuantizer,
        decoder: DecoderSizes,
        stride: int = 2,
        decode_frames: int | None = _FRAMES,
    ) -> None:
        """Make an untrained tokenizer.

        Args:
            spec: its facts; hop, channels and codebooks must agree with the networks.
            network: sizes of the encoder's SEANet.
            transformer: sizes of the encoder's transformer.
            quantizer: of the encoder.
            words: quantizer of the decoder.
            decoder: sizes.
            stride: steps of the encoder's transformer per frame.
            decode_frames: see the class.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        super().__init__(spec, MimiEncoder(network, transformer, stride=stride), quantizer, QwenDecoder(decoder))
        self.words = words
        self.network, self.transformer, self.decoder_sizes = network, transformer, decoder
        self.frame_stride, self.decode_frames = stride, decode_frames
        if decode_frames is not None and decode_frames < 1:
            raise CheckpointError(f"{spec.name}: decode_frames is {decode_frames}; it must be at least 1, or None")
        for name, facts, parts in (
            ("hop_length", spec.hop_length, network.hop_length * stride),
            ("hop_length", spec.hop_length, decoder.hop_length),
            ("channels", spec.channels, network.channels),
            ("latent width", quantizer.dim, network.dimension),
            ("vector width", words.dim, decoder.vector_dim),
            ("codebook sizes", quantizer.codebook_sizes, words.codebook_sizes),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in one part and {parts} in another")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Qwen3TTS:
        """Make an untrained tokenizer from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or impossible.
        """
        try:
            network = network_of(config["network"])
            decoder = DecoderSizes(**config["decoder"])
            quantizer = config["quantizer"]
            width = {"codebook_dim": decoder.vector_dim // 2, **config.get("words", {})}
            words = SplitResidualVectorQuantizer(decoder.vector_dim, **{**quantizer, **width})
            return cls(
                TokenizerSpec.from_dict(config["spec"]),
                network,
                TransformerSizes(**config["transformer"]),
                SplitResidualVectorQuantizer(network.dimension, **quantizer),
                words=words,
                decoder=decoder,
                **{name: config[name] for name in ("stride", "decode_frames") if name in config},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit Qwen3-TTS: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        quantizer, size = self.quantizer, self.spec.codebook_sizes[0]
        assert isinstance(quantizer, SplitResidualVectorQuantizer)
        return {
            "family": self.FAMILY,
            **encoder_config(self.network, self.transformer, quantizer, codebook_size=size),
            "words": {"codebook_dim": self.words.semantic.chain.dim},
            "decoder": dataclasses.asdict(self.decoder_sizes),
            "stride": self.frame_stride,
            "decode_frames": self.decode_frames,
        }

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the published names."""
        return source.names() >= MARKS

    @classmethod
    def from_published(cls, source: PublishedSource) -> Qwen3TTS:
        """Load the published `model.safetensors` with its `config.json`.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not fit.
        """
        where = str(source.checkpoint().path)
        if not cls.recognises(source):
            raise CheckpointError(one_line(where, "holds no Qwen3-TTS", "load it with Tokenizer.from_pretrained"))
        sizes = sizes_of(source, where)
        parts = {"words": sizes.words, "decoder": dataclasses.asdict(sizes.decoder)}
        config = {**sizes.mimi, **parts, "spec": spec_of(source, sizes).to_dict()}
        tensors, origins = our_tensors(source, sizes, where)
        published = {origins[name]: value for name, value in tensors.items()}
        return build(lambda: cls.from_config(config), published, where, names=origins)

    # --- what differs from other codecs -------------------------------------------------------------------------

    def padded_length(self, num_samples: int) -> int:
        """Return the length itself: every layer completes its own last step, as in the port of Mimi."""
        return num_samples

    def decoder_stage(self) -> Stage:
        """Return a fresh stage from vectors `[T, D]` to samples `[n, 1]`."""
        if self.decode_frames is None:
            return stage_of(self.decoder)
        frames, hop = self.decode_frames, self.spec.hop_length
        return Restarted(lambda: stage_of(self.decoder), frames, _CONTEXT, hop=hop)

    def dequantize(self, codes: Tensor) -> Tensor:
        """Return the decoder's vectors `[T, D]` of codes `[T, k]`."""
        return self.words.decode(codes.T[None])[0].T.contiguous()

    def codebooks(self) -> list[Tensor]:
        """Return every codebook of the decoder as vectors `[V, D]`."""
        return [self.words.codebook(index).detach() for index in range(self.spec.num_codebooks)]

    def _embed(self, codes: Tensor) -> Tensor:
        return self.words.decode(codes)

    def streaming(self, *, num_codebooks: int | None = None, block_frames: int | None = None) -> Streaming:
        """Return an encoder and a decoder for sound that arrives in pieces.

        Args:
            num_codebooks: use only the first so many codebooks; None for all.
            block_frames: give results after every so many frames (1 for every 80 ms), at once and not after six
                seconds. Runs with one number of frames agree to the last bit; with another, up to rounding.

        Raises:
            ValueError: if a number is out of range.
        """
        return self._answering(super().streaming(num_codebooks=num_codebooks), block_frames)


def spec_of(source: PublishedSource, sizes: QwenSizes) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    facts = known_facts(source.name)
    quantizer = sizes.mimi["quantizer"]
    semantic, size = quantizer["num_semantic"], quantizer["codebook_size"]
    acoustic = (CodebookSpec(size),) * (quantizer["num_codebooks"] - semantic)
    return TokenizerSpec(
        name=facts.name,
        kind="hybrid",
        sample_rate=sizes.mimi["sample_rate"],
        hop_length=sizes.decoder.hop_length,
        codebooks=(CodebookSpec(size, role="semantic"),) * semantic + acoustic,
        channels=sizes.mimi["network"]["channels"],
        causal=True,
        chunking="state",
        licence=facts.licence,
        paper=facts.paper or "arXiv:2601.15621",
        origin=facts.origin,
    )
