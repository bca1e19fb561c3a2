"""Deduplicated tokens: runs of equal frames as one column of codes and a duration, without loss.

Discrete units of speech stay the same for several frames; language models are often trained on the runs, as in GSLM
(arXiv:2102.01192), with the durations predicted by another model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tokaudio import _tokens_checks as checks
from tokaudio._tokens_base import TokensBase
from tokaudio.errors import TokensError
from tokaudio.spec import TokenizerSpec

if TYPE_CHECKING:
    from tokaudio.tokens import Tokens


@dataclass(frozen=True, eq=False, repr=False)
class DedupedTokens:
    """B items of up to R runs, each of equal frames over all K codebooks.

    For the runs of one codebook alone, take it first: `tokens.select_codebooks([k]).dedup()`.

    Args:
        codes: of each run, int64 [B, K, R], 0 after an item's last run.
        durations: frames of each run, int64 [B, R], at least 1, and 0 after an item's last run.
        lengths: runs of each item, int64 [B].
        num_samples: audio samples that each item stands for, int64 [B].
        spec: of the tokenizer that made the codes.
        fingerprint: of its weights.
        num_frames: T of `expand()`; at least the frames of the longest item.
        extras: side information, as `Tokens` has it: `frame_...` ones with one entry per frame, not per run.
        depth: valid codebooks of each run, int64 [B, R]; None where all are.
        provenance: further facts as text.

    Raises:
        TokensError: durations, lengths or shapes that do not fit together.

    Example:
        >>> from tokaudio.tokens import CodebookSpec, Tokens
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> runs = Tokens.from_codes(torch.tensor([[5, 5, 5, 2, 2, 5]]), spec).dedup()
        >>> runs.codes.tolist(), runs.durations.tolist()
        ([[[5, 2, 5]]], [[3, 2, 1]])
    """

    codes: Tensor
    durations: Tensor
    lengths: Tensor
    num_samples: Tensor
    spec: TokenizerSpec
    fingerprint: str = ""
    num_frames: int = 0
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    depth: Tensor | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        codes = checks.as_int64("codes", self.codes, (None, self.spec.num_codebooks, None))
        batch, _, runs = codes.shape
        lengths = checks.as_int64("lengths", self.lengths, (batch,), codes.device)
        durations = checks.as_int64("durations", self.durations, (batch, runs), codes.device)
        if bool(((lengths < 0) | (lengths > runs)).any()):
            raise TokensError(f"lengths of {lengths.tolist()} runs; give 0 to {runs}, as codes holds")
        mask = checks.frame_mask(lengths, runs)
        durations = durations.masked_fill(~mask, 0)
        if bool((durations[mask] < 1).any()):
            raise TokensError(f"a duration of {int(durations[mask].min())} frames; give at least 1")
        longest = max(durations.sum(dim=1).tolist(), default=0)
        cleaned = {
            "codes": codes.masked_fill(~mask[:, None], 0),
            "lengths": lengths,
            "durations": durations,
            "num_frames": max(self.num_frames, longest),
        }
        for name, value in cleaned.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_codes(
        cls, codes: Tensor, durations: Tensor, spec: TokenizerSpec, *, fingerprint: str = ""
    ) -> DedupedTokens:
        """Build one item of whole frames from bare runs, such as a language model's units and predicted durations.

        Args:
            codes: integers [K, R].
            durations: frames of each run, integers [R].
            spec: of the tokenizer that made the codes.
            fingerprint: of its weights.

        Raises:
            TokensError: shapes that do not fit together, or a duration below 1.

        Example:
            >>> from tokaudio.spec import CodebookSpec
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> DedupedTokens.from_codes(torch.tensor([[5, 2]]), torch.tensor([3, 2]), spec).expand().codes.tolist()
            [[[5, 5, 5, 2, 2]]]
        """
        runs = checks.as_int64("codes", codes, (spec.num_codebooks, None))[None]
        frames = checks.as_int64("durations", durations, (runs.shape[2],), runs.device)[None]
        lengths = torch.full((1,), runs.shape[2], device=runs.device)
        return cls(runs, frames, lengths, spec.frame_start(frames.sum(dim=1)), spec, fingerprint)

    @property
    def mask(self) -> Tensor:
        """Runs within each item's length, bool [B, R]."""
        return checks.frame_mask(self.lengths, self.codes.shape[2])

    @property
    def starts(self) -> Tensor:
        """Frame at which each run begins, int64 [B, R]; 0 after an item's last run."""
        return (self.durations.cumsum(dim=1) - self.durations).masked_fill(~self.mask, 0)

    @property
    def frames_per_run(self) -> float:
        """Mean frames of a run over all items: how much shorter the sequences became; 1.0 where there are none."""
        runs = int(self.lengths.sum())
        return int(self.durations.sum()) / runs if runs else 1.0

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __repr__(self) -> str:
        runs = ", ".join(str(count) for count in self.lengths.tolist())
        return f"DedupedTokens({self.spec.name}, {runs} runs of {self.frames_per_run:.2f} frames on average)"

    def items(self) -> list[tuple[Tensor, Tensor]]:
        """Return codes [K, R] and durations [R] of each item, without padding.

        Example:
            >>> from tokaudio.tokens import CodebookSpec, Tokens
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> [(codes, durations)] = Tokens.from_codes(torch.tensor([[5, 5, 2]]), spec).dedup().items()
            >>> codes.tolist(), durations.tolist()
            ([[5, 2]], [2, 1])
        """
        rows = zip(self.codes, self.durations, self.lengths.tolist(), strict=True)
        return [(codes[:, :runs], durations[:runs]) for codes, durations, runs in rows]

    def expand(self) -> Tokens:
        """Return the tokens with every run at its full duration: the inverse of `Tokens.dedup()`.

        Raises:
            TokensError: codes out of range, or runs that split the code of a slow codebook.

        Example:
            >>> from tokaudio.tokens import CodebookSpec, Tokens
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> tokens = Tokens.from_codes(torch.tensor([[5, 5, 5, 2, 2, 5]]), spec)
            >>> tokens.dedup().expand() == tokens
            True
        """
        from tokaudio.tokens import Tokens

        batch, codebooks, runs = self.codes.shape
        lengths = self.durations.sum(dim=1)
        mask = checks.frame_mask(lengths, self.num_frames)
        # Row-major order of (item, run) is that of (item, frame), so that one repetition fills all items.
        of = torch.arange(batch * runs, device=self.codes.device).repeat_interleave(self.durations.flatten())
        codes = self.codes.new_zeros(batch, self.num_frames, codebooks)
        codes[mask] = self.codes.transpose(1, 2).reshape(batch * runs, codebooks)[of]
        depth = None
        if self.depth is not None:
            depth = lengths.new_zeros(batch, self.num_frames)
            depth[mask] = self.depth.flatten()[of]
        facts = (self.num_samples, self.spec, self.fingerprint, self.extras, depth, self.provenance)
        return Tokens(codes.transpose(1, 2).contiguous(), lengths, *facts)

    def to(self, device: torch.device | str) -> DedupedTokens:
        """Return the same runs on another device.

        Example:
            >>> from tokaudio.tokens import CodebookSpec, Tokens
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> Tokens.from_codes(torch.tensor([[5, 5, 2]]), spec).dedup().to("cpu").codes.device
            device(type='cpu')
        """
        return dataclasses.replace(
            self,
            codes=self.codes.to(device),
            durations=self.durations.to(device),
            lengths=self.lengths.to(device),
            num_samples=self.num_samples.to(device),
            extras={name: value.to(device) for name, value in self.extras.items()},
            depth=None if self.depth is None else self.depth.to(device),
        )


def dedup(tokens: TokensBase) -> DedupedTokens:
    """Return the runs of equal frames; see `Tokens.dedup`."""
    codes, mask = tokens.codes, tokens.mask
    batch, codebooks, frames = codes.shape
    begins = mask.clone()
    begins[:, 1:] &= _differ(codes, dim=2).any(dim=1) | (
        False if tokens.depth is None else _differ(tokens.depth, dim=1)
    )
    lengths = begins.sum(dim=1)
    runs = max(lengths.tolist(), default=0)
    # The run that each frame belongs to; frames of the padding add nothing to the last one.
    of = (begins.cumsum(dim=1) - 1).clamp(min=0)
    durations = codes.new_zeros(batch, runs if frames else 0)
    if runs:
        durations.scatter_add_(1, of, mask.long())
    filled = checks.frame_mask(lengths, runs)
    kept = codes.new_zeros(batch, runs, codebooks)
    kept[filled] = codes.transpose(1, 2)[begins]
    depth = None
    if tokens.depth is not None:
        depth = lengths.new_zeros(batch, runs)
        depth[filled] = tokens.depth[begins]
    return DedupedTokens(
        kept.transpose(1, 2).contiguous(),
        durations,
        lengths,
        tokens.num_samples,
        tokens.spec,
        tokens.fingerprint,
        frames,
        tokens.extras,
        depth,
        tokens.provenance,
    )


def _differ(values: Tensor, *, dim: int) -> Tensor:
    """Return whether each entry but the first differs from the one before it."""
    size = values.shape[dim]
    return values.narrow(dim, min(1, size), max(0, size - 1)) != values.narrow(dim, 0, max(0, size - 1))
