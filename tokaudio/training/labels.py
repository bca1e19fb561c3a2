"""Labels of recordings for the heads of a training: who speaks, and which phone when, from columns of a manifest.

labels = read_labels(recordings, HeadOptions(weight=0.1, speakers="speaker", phones="lab"))
labels.speaker("a.wav"), labels.phones_at("a.wav", torch.tensor([0.1, 0.2]))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.training.recipe import HeadOptions, RecipeError

if TYPE_CHECKING:
    from tokaudio.analysis.annotated.labels import Segments


class Labels:
    """Who speaks and which phone when, by the name of the recording.

    Args:
        speakers: names.
        segments: phones with their times.

    Attributes:
        speakers, phones: all names, in alphabetical order; a name's place is its number.

    Example:
        >>> labels = Labels({"a.wav": "bob", "b.wav": "ann"}, {})
        >>> labels.speakers, labels.speaker("a.wav"), labels.speaker("c.wav")
        (('ann', 'bob'), 1, -1)
    """

    def __init__(self, speakers: Mapping[str, str], segments: Mapping[str, Segments]) -> None:
        self._who, self._segments = dict(speakers), dict(segments)
        self.speakers = tuple(sorted(set(speakers.values())))
        self.phones = tuple(sorted({name for one in segments.values() for name in one.names}))
        self._speaker_numbers = {name: number for number, name in enumerate(self.speakers)}
        self._phone_numbers: dict[str | None, int] = {name: number for number, name in enumerate(self.phones)}

    def speaker(self, name: str) -> int:
        """Return the number of who speaks in a recording, -1 where nothing says so."""
        return self._speaker_numbers.get(self._who.get(name, ""), -1)

    def phones_at(self, name: str, times: Tensor) -> Tensor:
        """Return the numbers `[T]` of the phones of a recording at times in seconds `[T]`, -1 where there is none."""
        if name not in self._segments:
            return torch.full((len(times),), -1)
        found = self._segments[name].names_at(times.double().numpy())
        return torch.tensor([self._phone_numbers.get(phone, -1) for phone in found], dtype=torch.int64)

    def digest(self) -> str:
        """Return a digest of all labels, by which a run knows them."""
        times = {
            name: [one.starts.tolist(), one.ends.tolist(), list(one.names)] for name, one in self._segments.items()
        }
        return hashlib.sha256(json.dumps([self._who, times], sort_keys=True).encode()).hexdigest()


UNLABELLED = Labels({}, {})


def read_labels(recordings: Sequence[Recording], options: HeadOptions) -> Labels:
    """Return the labels that the columns of a manifest say, as far as heads want them.

    Args:
        recordings: with their facts.
        options: the column that says who speaks, and the one with the path of a `.lab` file (relative to the
            manifest's folder); recordings whose field is empty have no label.

    Raises:
        AnalysisError: if a `.lab` file cannot be read.
        RecipeError: if no recording has anything in a column.

    Example:
        >>> recordings = [Recording(Path("a.wav"), "a.wav", {"path": "a.wav", "voice": "ann"})]
        >>> read_labels(recordings, HeadOptions(weight=0.1, speakers="voice")).speakers
        ('ann',)
    """
    if not options.speakers and not options.phones:
        return UNLABELLED
    from tokaudio.analysis.annotated.labels import read_lab

    for key, column in (("speakers", options.speakers), ("phones", options.phones)):
        if column and not any(column in one.facts for one in recordings):
            problem = f"no recording says anything in a column {column!r}"
            raise RecipeError(one_line(f"losses.heads.{key}", problem, "give a manifest with it, or leave it out"))
    speakers = {one.name: one.facts[options.speakers] for one in recordings if options.speakers in one.facts}
    paths = {one.name: _beside(one, one.facts[options.phones]) for one in recordings if options.phones in one.facts}
    return Labels(speakers, {name: read_lab(path) for name, path in paths.items()})


def _beside(one: Recording, text: str) -> Path:
    """Return a path that a manifest says, from where its recordings' paths are relative to."""
    told = next((Path(value) for value in one.facts.values() if _ends(one.path, Path(value))), None)
    root = Path() if told is None or told.is_absolute() else one.path.parents[len(told.parts) - 1]
    return root / text


def _ends(path: Path, tail: Path) -> bool:
    return bool(tail.parts) and path.parts[-len(tail.parts) :] == tail.parts
