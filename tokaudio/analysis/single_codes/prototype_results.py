"""What is known of single codes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tokaudio.analysis.single_codes.occurrences import Example


@dataclass(frozen=True, slots=True)
class Prototype:
    """One code.

    Attributes:
        codebook: its index.
        code: the code.
        frames: that have it.
        share: of all frames.
        levels: mean level of each mel band, in dB.
        spread: standard deviation of each, in dB.
        pitch: median of the voiced frames, in Hz, to a quarter of a semitone; None if none is voiced.
        voiced: share of its frames that have a pitch.
        phones: the most frequent ones, each with its share of the frames that have a phone.
        examples: where it occurs, chosen at random.
    """

    codebook: int
    code: int
    frames: int
    share: float
    levels: tuple[float, ...]
    spread: tuple[float, ...]
    pitch: float | None
    voiced: float
    phones: tuple[tuple[str, float], ...]
    examples: tuple[Example, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        found = asdict(self)
        for name in ("levels", "spread", "phones", "examples"):
            found[name] = [list(one) if isinstance(one, tuple) else one for one in found[name]]
        return found


@dataclass(frozen=True, slots=True)
class Prototypes:
    """The most frequent codes of each codebook.

    Attributes:
        codebooks: of each, its codes, the most frequent first.
        mel_centres: where each mel band is highest, in Hz.
        frames: that were seen.
        recordings: likewise.
        left: of each codebook, frames of codes that are not described because there are too many different ones.
    """

    codebooks: tuple[tuple[Prototype, ...], ...]
    mel_centres: tuple[float, ...]
    frames: int
    recordings: int
    left: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {
            "codebooks": [[one.to_dict() for one in book] for book in self.codebooks],
            "mel_centres": list(self.mel_centres),
            "frames": self.frames,
            "recordings": self.recordings,
            "left": list(self.left),
        }
