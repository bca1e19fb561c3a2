"""The data of a `Tokens`: fields, derived figures, comparison, printing and pickling."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tokaudio import _tokens_checks as checks
from tokaudio.errors import TokensError
from tokaudio.spec import TokenizerSpec


@dataclass(frozen=True, eq=False, repr=False)
class TokensBase:  # noqa: PLW1641 - equal tokens must hash alike, and hashing the content is as dear as comparing
    """What `tokaudio.tokens.Tokens` holds; see there."""

    codes: Tensor
    lengths: Tensor
    num_samples: Tensor
    spec: TokenizerSpec
    fingerprint: str = ""
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    depth: Tensor | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.spec, TokenizerSpec):
            raise TokensError(f"spec is a {type(self.spec).__name__}; give a TokenizerSpec")
        if not isinstance(self.fingerprint, str) or not self.fingerprint.isprintable():
            raise TokensError("the fingerprint is not one line of text; give a str")
        codes = checks.as_int64("codes", self.codes, (None, self.spec.num_codebooks, None))
        batch, codebooks, frames = codes.shape
        lengths = checks.as_int64("lengths", self.lengths, (batch,), codes.device)
        num_samples = checks.as_int64("num_samples", self.num_samples, (batch,), codes.device)
        checks.check_lengths(lengths, num_samples, frames)
        mask = checks.frame_mask(lengths, frames)
        depth = self.depth
        if depth is not None:
            depth = checks.as_int64("depth", depth, (batch, frames), codes.device)
            depth = checks.clean_depth(depth, mask, codebooks)
        codes = checks.clean_codes(codes, checks.valid_codes(mask, depth, codebooks), mask, self.spec)
        cleaned = {"codes": codes, "lengths": lengths, "num_samples": num_samples, "depth": depth}
        cleaned["extras"] = checks.clean_extras(self.extras, mask)  # type: ignore[assignment]
        cleaned["provenance"] = checks.clean_provenance(self.provenance)  # type: ignore[assignment]
        for name, value in cleaned.items():
            object.__setattr__(self, name, value)

    @property
    def device(self) -> torch.device:
        """Device of all tensors."""
        return self.codes.device

    @property
    def mask(self) -> Tensor:
        """Frames within each item's length, bool [B, T]."""
        return checks.frame_mask(self.lengths, self.codes.shape[2])

    @property
    def code_mask(self) -> Tensor:
        """Codes within each item's length and each frame's depth, bool [B, K, T]."""
        return checks.valid_codes(self.mask, self.depth, self.spec.num_codebooks)

    @property
    def duration(self) -> float:
        """Seconds of audio over all items."""
        return int(self.num_samples.sum()) / self.spec.sample_rate

    @property
    def durations(self) -> Tensor:
        """Seconds of audio of each item, float64 [B] on the CPU."""
        return self.num_samples.cpu().double() / self.spec.sample_rate

    @property
    def num_tokens(self) -> Tensor:
        """Codes of each item, int64 [B]: a slow codebook counts one code per stride, depth is respected."""
        starts = [self.code_mask[:, k, :: codebook.stride] for k, codebook in enumerate(self.spec.codebooks)]
        return torch.stack([start.sum(dim=1) for start in starts]).sum(dim=0)

    @property
    def depth_bits(self) -> float:
        """Bits that tell the depth, over all items, without entropy coding; 0 where there is none.

        Of each item, one number from 0 to K for every so many frames as the depth is held throughout.
        """
        if self.depth is None:
            return 0.0
        count = 0
        for row, length in zip(self.depth.cpu(), self.lengths.tolist(), strict=True):
            changes = ((row[:length].diff() != 0).nonzero().flatten() + 1).tolist()
            held = math.gcd(*changes) if changes else max(1, length)
            count += -(-length // held)
        return count * math.log2(self.spec.num_codebooks + 1)

    @property
    def bitrate_bps(self) -> float:
        """Bits per second without entropy coding: the spec's; with a depth, of the codes in use and of the depth."""
        frames = int(self.lengths.sum())
        if self.depth is None or frames == 0:
            return self.spec.bitrate_bps
        counts = self.code_mask.sum(dim=(0, 2)).tolist()
        bits = (n * codebook.bits / codebook.stride for n, codebook in zip(counts, self.spec.codebooks, strict=True))
        return (math.fsum(bits) + self.depth_bits) / frames * float(self.spec.frame_rate)

    @property
    def bitrate_kbps(self) -> float:
        """Thousands of bits per second without entropy coding."""
        return self.bitrate_bps / 1000

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __eq__(self, other: object) -> bool:
        """Whether all content is equal; devices and provenance may differ. Tokens have no hash."""
        if not isinstance(other, TokensBase):
            return NotImplemented
        if (self.spec, self.fingerprint, list(self.extras)) != (other.spec, other.fingerprint, list(other.extras)):
            return False
        mine, theirs = self._tensors(), other._tensors()
        return mine.keys() == theirs.keys() and all(_same(mine[name], theirs[name]) for name in mine)

    def __repr__(self) -> str:
        count, frames = self.spec.num_codebooks, max(self.lengths.tolist(), default=0)
        batch, up_to = ("", "") if len(self) == 1 else (f"batch of {len(self)}, ", "up to ")
        codebooks = f"{count} codebook{'s' * (count != 1)} x {up_to}{frames} frame{'s' * (frames != 1)}"
        kbps = f"{self.bitrate_kbps:.{1 if self.bitrate_kbps >= 1 else 2}f} kbps"
        where = "" if self.device.type == "cpu" else f", {self.device}"
        return f"Tokens({self.spec.name}, {batch}{codebooks}, {self.duration:.2f} s, {kbps}{where})"

    def __reduce__(self) -> tuple[Callable[..., TokensBase], tuple[Any, ...]]:
        # Pickles are for DataLoader workers: small, and on the CPU whatever the device was.
        codes = self.codes.cpu().numpy().astype(self.spec.code_dtype, order="C")
        depth = None if self.depth is None else self.depth.cpu().numpy().astype(np.uint16)
        lengths, num_samples = self.lengths.tolist(), self.num_samples.tolist()
        extras = {name: _as_picklable(value) for name, value in self.extras.items()}
        facts = (self.spec, self.fingerprint, dict(self.provenance))
        return _unpickle, (type(self), codes, lengths, num_samples, depth, extras, *facts)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._map(Tensor.clone)

    def _tensors(self) -> dict[str, Tensor]:
        named = {"codes": self.codes, "lengths": self.lengths, "num_samples": self.num_samples}
        if self.depth is not None:
            named["depth"] = self.depth
        return named | {f"extras/{name}": value for name, value in self.extras.items()}

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return dataclasses.replace(
            self,
            codes=change(self.codes),
            lengths=change(self.lengths),
            num_samples=change(self.num_samples),
            extras={name: change(value) for name, value in self.extras.items()},
            depth=None if self.depth is None else change(self.depth),
        )


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b.to(a.device))


def _as_picklable(value: Tensor) -> Any:
    value = value.cpu()
    # numpy has no bfloat16 and no 8-bit floats
    return value.clone() if value.dtype not in checks.NUMPY_DTYPES else value.numpy()


def _unpickle(cls: type[TokensBase], *state: Any) -> TokensBase:
    codes, lengths, num_samples, depth, extras, spec, fingerprint, provenance = state
    return cls(
        torch.from_numpy(codes.astype(np.int64)),
        torch.tensor(lengths, dtype=torch.int64),
        torch.tensor(num_samples, dtype=torch.int64),
        spec,
        fingerprint,
        {name: value if isinstance(value, Tensor) else torch.tensor(value) for name, value in extras.items()},
        None if depth is None else torch.from_numpy(depth.astype(np.int64)),
        provenance,
    )
