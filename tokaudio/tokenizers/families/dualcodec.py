"""DualCodec (arXiv:2505.13000): one codebook of what is said, and DAC's residual codebooks of what that leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from tokaudio.audio.blocks import BlockStream
from tokaudio.checkpoints import fold_weight_norm, read_checkpoint
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.dac import DacDecoder, DacEncoder
from tokaudio.nn.dualcodec import narrowing, widening
from tokaudio.nn.stages import Stage
from tokaudio.quantizers import FactorizedVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Streaming
from tokaudio.tokenizers.building import build
from tokaudio.tokenizers.families import dualcodec_files as files
from tokaudio.tokenizers.families.dac_files import DacShape, renamed
from tokaudio.tokenizers.families.dualcodec_files import RATE, DualCodecShape
from tokaudio.tokenizers.families.dualcodec_parts import SPEECH_RATE, DualEncoder, DualQuantizer, HeardFrames
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.windowed import WindowedCodec

# Samples beyond a whole number of frames from which on a frame is complete: the speech model's last step begins then.
_LATE = 119
# The one repository holds both models.
_FILES = {"dualcodec_12hz_16384_4096": "dualcodec-12hz", "dualcodec_25hz_16384_1024": "dualcodec-25hz"}


class DualCodec(WindowedCodec):
    """The first code tells what is said, by layer 17 of w2v-BERT 2.0; the others tell what DAC's encoder hears besides.

    The speech model sees the whole signal. Long ones are cut for it, as
    [`WindowedCodec`][tokaudio.tokenizers.windowed.WindowedCodec] says; everything else is exact at any length. Samples
    at the end, less than two frames, have no code, as in the published code, and are decoded as silence.

    Example:
        >>> dac = {"encoder_dim": 4, "encoder_rates": (24, 20), "decoder_dim": 8, "n_codebooks": 2, "codebook_size": 16}
        >>> network = {"dac": dac, "semantic_dim": 8, "hidden": 8, "blocks": 1, "semantic_size": 32}
        >>> network["speech"] = {"width": 8, "hidden": 8, "layers": 1, "heads": 1}
        >>> books = (CodebookSpec(32, role="semantic"), CodebookSpec(16), CodebookSpec(16))
        >>> spec = TokenizerSpec("tiny", "hybrid", 24_000, 480, books, least_padding=-598)
        >>> codec = DualCodec.from_config({"network": network, "spec": spec.to_dict()}).eval()
        >>> codec.encode(torch.zeros(24_000)).codes.shape
        torch.Size([1, 3, 49])
    """

    FAMILY, TITLE = "dualcodec", "DualCodec"
    takes_depth = False

    encoder: DualEncoder
    quantizer: DualQuantizer  # type: ignore[assignment]  # it has the methods that are used

    def __init__(self, spec: TokenizerSpec, shape: DualCodecShape) -> None:
        """Make an untrained one.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        dac, width = shape.dac, shape.speech.width
        found = (spec.sample_rate, spec.hop_length, spec.channels, spec.least_padding)
        wanted = (RATE, dac.hop_length, 1, least_padding(dac))
        if found != wanted or dac.hop_length * SPEECH_RATE % RATE:
            raise CheckpointError(f"{spec.name}: rate, hop, channels and padding are {found}, not {wanted}")
        semantic = FactorizedVectorQuantizer(
            shape.semantic_dim, shape.semantic_size, num_codebooks=1, codebook_dim=dac.codebook_dim
        )
        acoustic = FactorizedVectorQuantizer(
            dac.latent_dim, dac.codebook_size, num_codebooks=dac.n_codebooks, codebook_dim=dac.codebook_dim
        )
        widen = widening(shape.semantic_dim, dac.latent_dim, shape.hidden, shape.blocks)
        quantizer = DualQuantizer(semantic, acoustic, widen)
        super().__init__(
            spec,
            DualEncoder(
                HeardFrames(shape.speech.make(), RATE, dac.hop_length),
                narrowing(width, shape.semantic_dim, shape.hidden, shape.blocks),
                DacEncoder(dac.encoder_dim, dac.encoder_rates, dac.latent_dim),
                dac.hop_length,
            ),
            cast(Any, quantizer),
            DacDecoder(dac.latent_dim, dac.decoder_dim, dac.decoder_rates),
        )
        self.shape = shape

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DualCodec:
        """Make an untrained one from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or impossible.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), DualCodecShape(**config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit DualCodec: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dataclasses.asdict(self.shape)}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether files are of this family, by the names of their tensors."""
        return files.codec_file(source) is not None

    @classmethod
    def from_published(cls, source: PublishedSource) -> DualCodec:
        """Make it from the codec's file, the statistics and the speech model beside it.

        Raises:
            CheckpointError: if a file is missing, or a tensor missing, unknown, misshapen or non-finite.
        """
        path = files.codec_file(source)
        if path is None:
            raise CheckpointError(one_line(source.path, "holds no DualCodec", "load it with Tokenizer.from_pretrained"))
        where = str(path)
        tensors = renamed(fold_weight_norm(read_checkpoint(path).tensors, where=where))
        tensors |= files.speech_and_statistics(source)
        shape = files.shape_of(tensors, where)
        spec = spec_of(path.stem if path.stem in _FILES else source.name, shape)
        names = files.published_names(shape)
        return build(lambda: cls(spec, shape), tensors, where, names=names)

    # --- how it runs -----------------------------------------------------------------------------------------------

    def padded_length(self, num_samples: int) -> int:
        """Return the number of samples, or those of the shortest signal that has a frame."""
        return max(num_samples, self.spec.hop_length + _LATE)

    def encoder_stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to latents `[T, D]`."""
        self.encoder.heard.windows = self.windows
        return self.encoder.stage()

    def _streaming(self, num_codebooks: int) -> Streaming:
        latents, search = self.encoder_stage(), self.quantizer.encoder_stage(num_codebooks)
        lookup, sound = self.quantizer.decoder_stage(), self.decoder_stage()

        def encode(block: Tensor, last: bool) -> Tensor:
            return search(latents(block, last), last)

        def decode(block: Tensor, last: bool) -> Tensor:
            return sound(lookup(block, last), last)

        hop = self.spec.hop_length
        decoder = BlockStream(
            decode,
            num_codebooks,
            self.block_frames,
            torch.zeros(1, 0, dtype=torch.float32, device=self.device),
            dtype=torch.int64,
            device=self.device,
            result_length=lambda frames: frames * hop,
            check=self._check_codes,
        )
        return Streaming(self._encoder_stream(encode, self._no_codes(num_codebooks)), decoder)


def least_padding(dac: DacShape) -> int:
    """Return how many samples follow the last frame at least; below zero, as the last ones have no frame.

    Example:
        >>> least_padding(DualCodecShape().dac)
        -2038
    """
    return 1 - dac.hop_length - _LATE


def spec_of(name: str, shape: DualCodecShape) -> TokenizerSpec:
    """Return the facts about published weights; name, licence and origin only where it is known whose they are."""
    facts = known_facts(_FILES.get(name, name))
    first, *rest = shape.codebook_sizes
    return TokenizerSpec(
        name=facts.name,
        kind="hybrid",
        sample_rate=RATE,
        hop_length=shape.dac.hop_length,
        codebooks=(CodebookSpec(first, role="semantic"), *(CodebookSpec(size) for size in rest)),
        licence=facts.licence,
        paper=facts.paper or "arXiv:2505.13000",
        origin=facts.origin,
        least_padding=least_padding(shape.dac),
    )
