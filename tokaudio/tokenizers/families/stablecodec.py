"""Stable Codec (Parker et al. 2024, arXiv:2411.19842): large transformers, and a grid that is chosen after training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.stable_codec import StableSide, stable_decoder, stable_encoder
from tokaudio.quantizers.residual_scalar import ResidualScalarQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Streaming
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.families.stablecodec_files import (
    CONFIG,
    PREFER,
    config_of,
    is_stable_codec,
    needed,
    published_names,
    stated,
)
from tokaudio.tokenizers.published import PublishedSource, build

Stages = Sequence[tuple[Sequence[int], float]]
# The authors' grids for six latent dimensions, by the names that they have.
GRIDS: dict[str, tuple[tuple[tuple[int, ...], float], ...]] = {
    "1x46656_400bps": (((6,) * 6, 1.0),),
    "2x15625_700bps": (((5,) * 6, 1.0), ((5,) * 6, 0.25)),
    "4x729_1000bps": (((3,) * 6, 1.0), ((3,) * 6, 0.5), ((3,) * 6, 0.25), ((3,) * 6, 0.125)),
}
_GRID = "2x15625_700bps"


class StableCodec(Codec):
    """Transformers with windows on patches of sound; few latent dimensions, rounded to a grid of choice.

    Published weights come with the grid `2x15625_700bps`; `with_grid` gives the same networks another.

    Example:
        >>> import torch
        >>> side = StableSide((16, 16), (2,), (1,), (3, 4), head=8)
        >>> spec = TokenizerSpec("tiny", "compression", 8_000, 8, (CodebookSpec(9),) * 2, chunking="state")
        >>> grid = (((3, 3), 1.0), ((3, 3), 0.5))
        >>> codec = StableCodec(spec, side, side, patch=4, stages=grid).eval()
        >>> codec.encode(torch.zeros(400)).codes.shape
        torch.Size([1, 2, 50])
        >>> codec.with_grid([((5, 5), 1.0)]).encode(torch.zeros(400)).codes.shape
        torch.Size([1, 1, 50])
    """

    FAMILY, TITLE = "stablecodec", "Stable Codec"
    # Nearly all the work is products with wide weights, which every block reads anew.
    block_seconds = 20.0

    def __init__(
        self,
        spec: TokenizerSpec,
        encoder: StableSide,
        decoder: StableSide,
        *,
        patch: int,
        stages: Stages,
        soft_clip: bool = False,
        trained_levels: Sequence[int] = (),
    ) -> None:
        """Make an untrained Stable Codec.

        Args:
            spec: its facts.
            encoder: its sizes.
            decoder: its sizes.
            patch: samples per patch.
            stages: levels and scale of each stage of the quantizer; their dimensions are the latents'.
            soft_clip: whether samples go through tanh at the end.
            trained_levels: of each latent dimension in training, where that is known.

        Raises:
            CheckpointError: if the spec and the sizes do not agree.
        """
        quantizer = ResidualScalarQuantizer(stages)
        super().__init__(
            spec,
            stable_encoder(patch, quantizer.dim, encoder),
            quantizer,
            stable_decoder(quantizer.dim, patch, decoder, soft_clip=soft_clip),
        )
        self.encoder_side, self.decoder_side, self.patch = encoder, decoder, patch
        self.soft_clip, self.trained_levels = soft_clip, tuple(trained_levels)
        hops = [patch * math.prod(side.strides) for side in (encoder, decoder)]
        if [spec.hop_length] * 2 != hops or spec.channels != 1:
            facts = f"{spec.hop_length} samples and {spec.channels} channels"
            raise CheckpointError(f"{spec.name}: a frame is {facts} in the spec, {hops} and 1 in the networks")

    def with_grid(self, grid: str | Stages) -> StableCodec:
        """Return a tokenizer of the same networks that rounds latents to another grid.

        Args:
            grid: a name of the authors' (`1x46656_400bps`, `2x15625_700bps`, `4x729_1000bps`), `trained` for the one
                of the training, or levels and scale of each stage.

        Raises:
            ValueError: if the grid is unknown, or has other dimensions than the latents.
        """
        if isinstance(grid, str):
            trained = {"trained": ((self.trained_levels, 1.0),)} if self.trained_levels else {}
            known: dict[str, Stages] = {**GRIDS, **trained}
            if grid not in known:
                raise ValueError(f"no grid is called {grid!r}; there are {', '.join(known)}")
            grid = known[grid]
        quantizer = ResidualScalarQuantizer(grid)
        if quantizer.dim != self.quantizer.dim:
            raise ValueError(f"a grid of {quantizer.dim} dimensions, and latents of {self.quantizer.dim}")
        spec = dataclasses.replace(self.spec, codebooks=_books(quantizer))
        config = self.config() | {"spec": spec.to_dict(), "stages": [list(stage) for stage in quantizer.stages]}
        # The networks are shared, not copied: they are large.
        with torch.device("meta"):
            other = StableCodec.from_config(config)
        other.encoder, other.quantizer, other.decoder = self.encoder, quantizer.to(self.device), self.decoder
        return other.train(self.training)

    def streaming(self, *, num_codebooks: int | None = None, block_frames: int | None = None) -> Streaming:
        """Return an encoder and a decoder for sound that arrives in pieces.

        Args:
            num_codebooks: use only the first so many codebooks; None for all.
            block_frames: give results after every so many frames (1 for every 40 ms), as far as windows are complete,
                and not after thirty seconds. Runs with one number of frames agree to the last bit; with another, and
                with `encode`, up to rounding, which decides next to an edge of the grid.

        Raises:
            ValueError: if a number is out of range.
        """
        return self._answering(super().streaming(num_codebooks=num_codebooks), block_frames)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> StableCodec:
        """Make an untrained Stable Codec from what our `config.json` holds.

        Raises:
            CheckpointError: if a field is missing, unknown or impossible.
        """
        try:
            sides = [StableSide(**config[name]) for name in ("encoder", "decoder")]
            return cls(
                TokenizerSpec.from_dict(config["spec"]),
                sides[0],
                sides[1],
                patch=config["patch"],
                stages=config["stages"],
                soft_clip=config["soft_clip"],
                trained_levels=config["trained_levels"],
            )
        except (KeyError, TypeError, ValueError) as error:
            problem = f"the configuration does not fit Stable Codec: {error}"
            raise CheckpointError(f"{problem}; get an intact copy") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        assert isinstance(self.quantizer, ResidualScalarQuantizer)
        return {
            "family": self.FAMILY,
            "patch": self.patch,
            "encoder": dataclasses.asdict(self.encoder_side),
            "decoder": dataclasses.asdict(self.decoder_side),
            "stages": [[list(levels), scale] for levels, scale in self.quantizer.stages],
            "soft_clip": self.soft_clip,
            "trained_levels": list(self.trained_levels),
        }

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether there is a `model_config.json` of such an autoencoder."""
        return is_stable_codec(config_of(source))

    @classmethod
    def from_published(cls, source: PublishedSource) -> StableCodec:
        """Make a Stable Codec from `model_config.json` and `model.safetensors` or `model.ckpt`.

        Raises:
            CheckpointError: if a field or a tensor is missing, unknown, misshapen or non-finite.
        """
        config, where = config_of(source), str(source.weight_file(PREFER))
        if config is None:
            raise CheckpointError(one_line(where, f"has no {CONFIG} beside it", "get the configuration as well"))
        facts = stated(config, where)
        grid: Stages = GRIDS[_GRID] if facts.latent_dim == 6 else ((facts.levels, 1.0),)
        known = known_facts(source.name)
        spec = TokenizerSpec(
            name=known.name,
            kind="compression",
            sample_rate=facts.sample_rate,
            hop_length=facts.hop_length,
            codebooks=_books(ResidualScalarQuantizer(grid)),
            chunking="state",
            licence=known.licence,
            paper=known.paper or "arXiv:2411.19842",
            origin=known.origin,
        )

        def make() -> StableCodec:
            return cls(
                spec,
                facts.encoder,
                facts.decoder,
                patch=facts.patch,
                stages=grid,
                soft_clip=facts.soft_clip,
                trained_levels=facts.levels,
            )

        stem = "state_dict." if any(name.startswith("state_dict.") for name in source.names(PREFER)) else ""
        tensors = {name.removeprefix(stem): value for name, value in source.tensors(PREFER).items()}
        tensors = needed(tensors, where)
        names = published_names(facts.encoder, facts.decoder)
        return build(make, tensors, where, names=names)


def _books(quantizer: ResidualScalarQuantizer) -> tuple[CodebookSpec, ...]:
    return tuple(CodebookSpec(size) for size in quantizer.codebook_sizes)
