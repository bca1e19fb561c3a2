"""How much codes change when a sound does: figures for each change and codebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.ratios import Estimate


@dataclass(frozen=True, slots=True)
class CodebookRobustness:
    """What a change does to one codebook.

    Attributes:
        edit_distance: unit edit distance, 0 for none: insertions, deletions and substitutions that turn the runs of
            the sound into those of the changed one, over the runs of the sound, summed over recordings
            (arXiv:2209.15483, section 3).
        agreement: share of frames with the same code, 1 for all (token consistency, arXiv:2409.19283).
        chance: the agreement that is expected if the frames of each recording are compared in random order.
        frames: that were compared.
    """

    edit_distance: Estimate
    agreement: Estimate
    chance: float
    frames: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {
            "edit_distance": self.edit_distance.to_dict(),
            "agreement": self.agreement.to_dict(),
            "chance": self.chance,
            "frames": self.frames,
        }


@dataclass(frozen=True, slots=True)
class TransformRobustness:
    """What a change does to all codebooks.

    Attributes:
        name: of the change.
        codebooks: one entry each.
        recordings: that were compared.
        left_out: recordings of which the change could not be made, or could not be encoded.
    """

    name: str
    codebooks: tuple[CodebookRobustness, ...]
    recordings: int
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        books = [book.to_dict() for book in self.codebooks]
        return {"name": self.name, "codebooks": books, "recordings": self.recordings, "left_out": self.left_out}


@dataclass(frozen=True, slots=True)
class Robustness:
    """What every change does.

    Attributes:
        transforms: those that were measured.
        not_measured: why others were not, by name.
        seconds: of audio, before changes.
    """

    transforms: tuple[TransformRobustness, ...]
    not_measured: Mapping[str, str]
    seconds: float

    def find(self, name: str) -> TransformRobustness:
        """Return the change of a name.

        Raises:
            AnalysisError: if it was not measured.
        """
        for one in self.transforms:
            if one.name == name:
                return one
        raise AnalysisError(f"{name} was not measured; there are {', '.join(one.name for one in self.transforms)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        changes = [one.to_dict() for one in self.transforms]
        return {"transforms": changes, "not_measured": dict(self.not_measured), "seconds": self.seconds}
