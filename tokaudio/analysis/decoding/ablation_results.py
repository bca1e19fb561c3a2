"""What an ablation found: scores of decoding with more and more codebooks, and with each of them made meaningless."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tokaudio.analysis.statistics.ratios import Estimate

Way = Literal["shuffled", "mean"]
"""Codes in random order, or all the one nearest to their mean vector."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Decoding of the first codebooks alone.

    Attributes:
        codebooks: how many.
        scores: by the name of the metric.
        gains: what the last of them made better, positive for better; empty for the fewest codebooks.
    """

    codebooks: int
    scores: Mapping[str, Estimate]
    gains: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {"codebooks": self.codebooks, "scores": _plain(self.scores), "gains": _plain(self.gains)}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Decoding with one codebook made meaningless.

    Attributes:
        codebook: its index.
        way: how.
        scores: by the name of the metric.
        losses: what became worse against all codebooks, positive for worse.
        off_distribution: whether the codebook adds to the same dimensions as another one.
    """

    codebook: int
    way: Way
    scores: Mapping[str, Estimate]
    losses: Mapping[str, Estimate]
    off_distribution: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {
            "codebook": self.codebook,
            "way": self.way,
            "scores": _plain(self.scores),
            "losses": _plain(self.losses),
            "off_distribution": self.off_distribution,
        }


@dataclass(frozen=True, slots=True)
class BandAttribution:
    """Where in the spectrum shuffling the codes of one codebook changes the sound.

    Attributes:
        shares: of the energy of the difference, by band, 0 to 1; NaN if nothing changes.
        levels: mean change of the level of each band, in dB.
    """

    shares: tuple[float, ...]
    levels: tuple[Estimate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them; None for NaN."""
        shares = [None if math.isnan(share) else share for share in self.shares]
        return {"shares": shares, "levels": [level.to_dict() for level in self.levels]}


@dataclass(frozen=True, slots=True)
class Ablation:
    """What each codebook adds.

    Attributes:
        prefixes: from the fewest codebooks that can be decoded to all of them.
        left_out: for each codebook, both ways.
        bands: lowest and highest frequency of each, in Hz.
        attribution: for each codebook.
        recordings: that were decoded.
        seconds: of audio.
    """

    prefixes: tuple[Prefix, ...]
    left_out: tuple[LeftOut, ...]
    bands: tuple[tuple[float, float], ...]
    attribution: tuple[BandAttribution, ...]
    recordings: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {
            "prefixes": [prefix.to_dict() for prefix in self.prefixes],
            "left_out": [one.to_dict() for one in self.left_out],
            "bands": [list(band) for band in self.bands],
            "attribution": [one.to_dict() for one in self.attribution],
            "recordings": self.recordings,
            "seconds": self.seconds,
        }


def _plain(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: one.to_dict() for name, one in estimates.items()}
