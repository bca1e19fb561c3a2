"""SNAC: residual codes of several rates (arXiv:2410.14411), published as `config.json` with `pytorch_model.bin`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tokaudio.checkpoints import check_tensors
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.snac import SnacDecoder, SnacEncoder
from tokaudio.quantizers.factorized import FactorizedVectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.building import load_tensors, make_unfilled, skeleton
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families import snac_files
from tokaudio.tokenizers.families.fields import Facts, Fields, known_facts
from tokaudio.tokenizers.published import PublishedSource

# Fields that no other family has together.
_TELLING = {"encoder_rates", "vq_strides"}
# Values of the reference where a file leaves a field out.
_USUAL = {
    "latent_dim": None,
    "attn_window_size": 32,
    "codebook_size": 4096,
    "codebook_dim": 8,
    "noise": True,
    "depthwise": True,
}


@dataclass(frozen=True)
class SnacSizes:
    """The sizes of a SNAC, under the names of the published configuration.

    Attributes:
        sampling_rate: in Hz.
        encoder_dim: channels of the encoder's first layer.
        encoder_rates: its strides.
        decoder_dim: channels of the decoder's first level.
        decoder_rates: its strides.
        attn_window_size: frames of the attention's windows; None for no attention.
        codebook_size: V.
        codebook_dim: width of the search.
        vq_strides: frames that one code spans, per codebook.
        noise: whether the decoder has noise blocks.
        depthwise: whether convolutions within units are depthwise.
    """

    sampling_rate: int
    encoder_dim: int
    encoder_rates: tuple[int, ...]
    decoder_dim: int
    decoder_rates: tuple[int, ...]
    attn_window_size: int | None
    codebook_size: int
    codebook_dim: int
    vq_strides: tuple[int, ...]
    noise: bool
    depthwise: bool

    @classmethod
    def read(cls, config: Mapping[str, Any], where: str) -> SnacSizes:
        """Read a configuration.

        Raises:
            CheckpointError: if a field is missing or impossible, or fields contradict each other.
        """
        fields = Fields({**_USUAL, **config}, where)
        windowed = fields.get("attn_window_size") is not None
        sizes = cls(
            sampling_rate=fields.whole("sampling_rate"),
            encoder_dim=fields.whole("encoder_dim"),
            encoder_rates=fields.wholes("encoder_rates"),
            decoder_dim=fields.whole("decoder_dim"),
            decoder_rates=fields.wholes("decoder_rates"),
            attn_window_size=fields.whole("attn_window_size") if windowed else None,
            codebook_size=fields.whole("codebook_size"),
            codebook_dim=fields.whole("codebook_dim"),
            vq_strides=fields.wholes("vq_strides"),
            noise=fields.flag("noise"),
            depthwise=fields.flag("depthwise"),
        )
        latent = fields.get("latent_dim")
        for wrong, problem in (
            (latent not in (None, sizes.latent_dim), f"latent_dim {latent} where its layers give {sizes.latent_dim}"),
            (sizes.hop_length != math.prod(sizes.decoder_rates), "a decoder of another rate than the encoder"),
            (len(sizes.encoder_rates) != len(sizes.decoder_rates), "a decoder of other depth than the encoder"),
            (sizes.decoder_dim % 2 ** len(sizes.decoder_rates) != 0, "a decoder_dim that cannot be halved so often"),
            (any(sizes.frame_multiple % stride for stride in sizes.vq_strides), "vq_strides that do not fit together"),
        ):
            if wrong:
                raise CheckpointError(one_line(where, f"has {problem} in its configuration", "get an intact copy"))
        return sizes

    @property
    def hop_length(self) -> int:
        """Samples per frame of the fastest codebook."""
        return math.prod(self.encoder_rates)

    @property
    def latent_dim(self) -> int:
        """Width of the latents."""
        return self.encoder_dim * int(2 ** len(self.encoder_rates))

    @property
    def frame_multiple(self) -> int:
        """Frames of which every signal gets a multiple: what the first codebook and the attention's windows span."""
        return math.lcm(self.vq_strides[0], self.attn_window_size or 1)

    def spec(self, facts: Facts) -> TokenizerSpec:
        """Return the spec; `facts` are what no file says."""
        return TokenizerSpec(
            kind="compression",
            sample_rate=self.sampling_rate,
            hop_length=self.hop_length,
            codebooks=tuple(CodebookSpec(self.codebook_size, stride=stride) for stride in self.vq_strides),
            chunking="exact",
            frame_multiple=self.frame_multiple,
            **facts._asdict(),
        )

    def names(self) -> snac_files.Pairs:
        """Return our name of every published tensor."""
        return snac_files.published_names(
            len(self.encoder_rates),
            codebooks=len(self.vq_strides),
            attention=self.attn_window_size is not None,
            noise=self.noise,
            depthwise=self.depthwise,
        )


class Snac(Codec):
    """Codebooks of several rates: slow codes span 2, 4 or 8 frames of the fastest, and are repeated in `Tokens`.

    `Tokens.ragged()` gives one row per codebook at its own rate, `Tokens.from_ragged` takes them.

    The decoder mixes in noise. Here it is a function of a seed and of the position in the signal, so that the same
    tokens sound the same each time, in one piece or in many. `noise_seed` chooses it.

    Example:
        >>> import torch
        >>> sizes = {"sampling_rate": 8_000, "encoder_dim": 4, "encoder_rates": [2, 2], "decoder_dim": 8,
        ...          "decoder_rates": [2, 2], "attn_window_size": None, "codebook_size": 16, "vq_strides": [2, 1]}
        >>> snac = Snac.from_config(sizes).eval()
        >>> tokens = snac.encode(torch.randn(21), 8_000)
        >>> [row.shape[1] for row in tokens.ragged()]
        [3, 6]
        >>> quiet = snac.decode(tokens)
        >>> snac.noise_seed = 1
        >>> torch.equal(snac.decode(tokens), quiet), torch.equal(snac.decode(tokens), snac.decode(tokens))
        (False, True)
    """

    FAMILY, TITLE = "snac", "SNAC"

    decoder: SnacDecoder

    def __init__(self, spec: TokenizerSpec, sizes: SnacSizes) -> None:
        """Make an untrained one.

        Raises:
            CheckpointError: if `spec` and `sizes` do not agree.
        """
        wanted = sizes.spec(Facts(spec.name))
        for field in ("sample_rate", "hop_length", "codebooks", "frame_multiple", "channels"):
            if getattr(spec, field) != getattr(wanted, field):
                raise CheckpointError(f"{spec.name}: {field} in the spec is not that of the network")
        window, depthwise = sizes.attn_window_size, sizes.depthwise
        encoder = SnacEncoder(sizes.encoder_dim, sizes.encoder_rates, window=window, depthwise=depthwise)
        quantizer = FactorizedVectorQuantizer(
            sizes.latent_dim,
            sizes.codebook_size,
            num_codebooks=len(sizes.vq_strides),
            codebook_dim=sizes.codebook_dim,
            strides=sizes.vq_strides,
        )
        decoder = SnacDecoder(
            sizes.latent_dim,
            sizes.decoder_dim,
            sizes.decoder_rates,
            window=window,
            noise=sizes.noise,
            depthwise=depthwise,
        )
        super().__init__(spec, encoder, quantizer, decoder)
        self.sizes = sizes

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Snac:
        """Make an untrained one from the fields of the published `config.json`, and a `spec` if there is one.

        Raises:
            CheckpointError: if a field is missing or impossible.
        """
        sizes = SnacSizes.read(config, "config.json")
        given = config.get("spec")
        return cls(sizes.spec(Facts(cls.FAMILY)) if given is None else TokenizerSpec.from_dict(given), sizes)

    def config(self) -> dict[str, Any]:
        """Return the family's name, and the fields as they are published."""
        sizes = {name: list(size) if isinstance(size, tuple) else size for name, size in asdict(self.sizes).items()}
        return {"family": self.FAMILY, **sizes}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether the configuration has this family's fields, or the weights its noise blocks."""
        if source.config is not None and source.config.keys() >= _TELLING:
            return True
        return snac_files.looks_like_snac(source.names())

    @classmethod
    def from_published(cls, source: PublishedSource) -> Snac:
        """Make it from published files.

        Raises:
            CheckpointError: if there is no configuration, or a tensor is missing, unknown, misshapen or non-finite.
        """
        file = str(source.weight_file())
        if source.config is None or not source.config.keys() >= _TELLING:
            problem = "is a SNAC checkpoint without its configuration"
            raise CheckpointError(one_line(source.path, problem, "put the config.json of its folder beside it"))
        sizes = SnacSizes.read(source.config, str(source.path))
        spec, names = sizes.spec(known_facts(source.name)), sizes.names()
        if sizes.depthwise:
            snac_files.require_depthwise(source.shapes(), file)
        # Compared under the published names, before memory is taken for sizes that the file may not have.
        state = skeleton(lambda: cls(spec, sizes))
        tensors = source.tensors()
        if state is not None:
            check_tensors(tensors, snac_files.as_published(state, names), file)
        codec = make_unfilled(lambda: cls(spec, sizes))
        load_tensors(codec, snac_files.as_ours(tensors, names), file)
        return codec

    @property
    def noise_seed(self) -> int | None:
        """The seed of the decoder's noise, 0 at first; None for no noise. Streams keep the one they began with."""
        blocks = self.decoder.noise_blocks
        return blocks[0].seed if blocks else None

    @noise_seed.setter
    def noise_seed(self, seed: int | None) -> None:
        for block in self.decoder.noise_blocks:
            block.seed = seed

    @property
    def block_frames(self) -> int:
        """Frames per block: a multiple of what the slowest codebook and the attention's windows span."""
        period = self.spec.frame_multiple
        return max(1, round(self.block_seconds * float(self.spec.frame_rate) / period)) * period
