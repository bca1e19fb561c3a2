"""X-Codec: codes of what is said and how it sounds together (Ye et al. 2024, arXiv:2408.17175)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.dac import DacDecoder, DacEncoder
from tokaudio.nn.ssl import SpeechModel
from tokaudio.nn.stages import Sequence, Stage
from tokaudio.nn.xcodec import SemanticBranch, TwoBranchEncoder, semantic_convolutions
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.families.xcodec_files import has_projections, layout_of, needed_tensors
from tokaudio.tokenizers.families.xcodec_sizes import XCodecSizes, sizes_of_original, sizes_of_transformers
from tokaudio.tokenizers.published import PublishedSource, build
from tokaudio.tokenizers.windowed import WindowedCodec


class XCodec(WindowedCodec):
    """DAC's networks, beside a HuBERT or WavLM that hears the same sound, and a residual quantizer of both.

    HuBERT and WavLM see the whole signal. Long ones are cut for them, as
    [`WindowedCodec`][tokaudio.tokenizers.windowed.WindowedCodec] says; everything else is exact at any length.

    Example:
        >>> from tokaudio.nn.ssl import SpeechSizes
        >>> speech = SpeechSizes(width=32, layers=1, heads=2, inner=32, conv_widths=(8,) * 7)
        >>> sizes = XCodecSizes(encoder_dim=4, acoustic_dim=8, decoder_dim=16, speech=speech, codebook_size=16)
        >>> books = (CodebookSpec(16, role="joint"),) * 8
        >>> codec = XCodec(TokenizerSpec("tiny", "hybrid", 16_000, 320, books), sizes).eval()
        >>> import torch
        >>> codec.encode(torch.zeros(1_000), 16_000).codes.shape
        torch.Size([1, 8, 4])
    """

    FAMILY, TITLE = "xcodec", "X-Codec"
    PAPER: ClassVar[str] = "arXiv:2408.17175"

    encoder: TwoBranchEncoder

    def __init__(self, spec: TokenizerSpec, sizes: XCodecSizes) -> None:
        """Make an untrained one.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        facts = (spec.sample_rate, spec.hop_length, spec.channels)
        if facts != (sizes.sample_rate, sizes.hop_length, 1):
            raise CheckpointError(f"{spec.name}: rate, hop and channels {facts} are not those of the network")
        width = sizes.speech.width
        convolutions = semantic_convolutions(
            width,
            kernel_size=sizes.kernel_size,
            blocks=sizes.blocks,
            dilations=sizes.dilations,
            unit_kernel_size=sizes.unit_kernel_size,
        )
        semantic = SemanticBranch(
            SpeechModel(sizes.speech),
            convolutions,
            width=width,
            hop_length=sizes.hop_length,
            rates=(sizes.sample_rate, sizes.speech_rate),
            listener_hop=sizes.speech.hop_length,
        )
        acoustic = DacEncoder(sizes.encoder_dim, sizes.encoder_rates, sizes.acoustic_dim)
        quantizer = ResidualVectorQuantizer(
            sizes.latent_dim,
            sizes.codebook_size,
            num_codebooks=sizes.num_codebooks,
            codebook_dim=sizes.codebook_dim or None,
        )
        sound = DacDecoder(sizes.acoustic_dim, sizes.decoder_dim, sizes.decoder_rates, complete=True, bounded=False)
        super().__init__(
            spec,
            TwoBranchEncoder(acoustic, semantic, sizes.acoustic_dim, sizes.latent_dim),
            quantizer,
            Sequence(Conv1d(sizes.latent_dim, sizes.acoustic_dim, 1), sound),
        )
        self.sizes = sizes

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> XCodec:
        """Make an untrained one from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or no size.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), XCodecSizes.from_dict(config["network"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit {cls.TITLE}: {error}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": self.sizes.to_dict()}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the tensors have the names of either published layout, without projections to codebooks."""
        names = source.names()
        return layout_of(names) is not None and not has_projections(names)

    @classmethod
    def from_published(cls, source: PublishedSource) -> XCodec:
        """Make it from a folder of transformers, or from a first release: weights with their configuration beside them.

        Raises:
            CheckpointError: if there is no configuration, or a tensor is missing, unknown, misshapen or non-finite.
        """
        where, layout = str(source.checkpoint().path), layout_of(source.names())
        if layout is None or not cls.recognises(source):
            raise CheckpointError(one_line(where, f"holds no {cls.TITLE}", "load it with Tokenizer.from_pretrained"))
        if source.config is None:
            problem = f"is a {cls.TITLE} checkpoint without a configuration"
            raise CheckpointError(one_line(where, problem, "put its config.json or .yaml file beside it"))
        tensors = source.tensors()
        if layout == "transformers":
            sizes = sizes_of_transformers(source.config, where)
        else:
            sizes = sizes_of_original(source.config, tensors, where)
        spec = cls._spec(source.name, sizes)
        needed, names = needed_tensors(tensors, sizes, layout, where)
        return build(lambda: cls(spec, sizes), needed, where, names=names)

    @classmethod
    def _spec(cls, name: str, sizes: XCodecSizes) -> TokenizerSpec:
        facts = known_facts(name)
        return TokenizerSpec(
            name=facts.name,
            kind="hybrid",
            sample_rate=sizes.sample_rate,
            hop_length=sizes.hop_length,
            codebooks=(CodebookSpec(sizes.codebook_size, role="joint"),) * sizes.num_codebooks,
            licence=facts.licence,
            paper=facts.paper or cls.PAPER,
            origin=facts.origin,
        )

    def encoder_stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to latents `[T, D]`."""
        self.encoder.semantic.windows = self.windows
        return self.encoder.stage()
