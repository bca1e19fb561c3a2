"""The codebook report: everything that was measured about a tokenizer's codes, as an object, JSON, a table and words.

report.sentences()  # what each codebook carries
report.roles[0].attribute, report.sections["usage"]
report.to_json(), report.to_dataframe(), report.to_html(audio)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokaudio import __version__
from tokaudio.analysis.enough_audio import audio_warning
from tokaudio.analysis.frames.associations import Association
from tokaudio.analysis.roles import Role
from tokaudio.analysis.sections import Section
from tokaudio.analysis.single_codes.held_codes import HeldCodes
from tokaudio.errors import MissingDependencyError, one_line

if TYPE_CHECKING:
    import pandas

FORMAT = "tokaudio-report"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What is known about the codes of a tokenizer.

    Attributes:
        tokenizer: its name, weight fingerprint, rates and codebook sizes.
        facts: recordings, seconds, frames, and what was left out.
        associations: what each codebook says about each attribute; empty without audio and labels.
        roles: of each codebook, in order; empty without audio and labels.
        sections: further measures by name, such as `usage`; None for one that could not be made.
        notes: what the reader ought to know about the figures, one sentence each.
        held: the sound of frequent codes held on, which is no part of the JSON; None where there is none.
    """

    tokenizer: Mapping[str, Any]
    facts: Mapping[str, int | float]
    associations: tuple[Association, ...]
    roles: tuple[Role, ...]
    sections: Mapping[str, Section | None]
    notes: tuple[str, ...]
    held: HeldCodes | None = None

    def sentences(self) -> list[str]:
        """Return what each codebook carries, one sentence for each; none where there was too little audio for all."""
        if not any(role.enough or role.first for role in self.roles):
            return []
        return [role.sentence() for role in self.roles]

    @property
    def warning(self) -> str | None:
        """What too little audio leaves unknown, and how much would do; None if there was enough."""
        return audio_warning(self.associations, self.facts, self.tokenizer["codebook_sizes"])

    def at(self, codebook: int, attribute: str) -> Association | None:
        """Return what one codebook says about one attribute; None if it was not measured.

        Args:
            codebook: its number, from 0.
            attribute: such as `pitch` or `phone`.
        """
        wanted = (codebook, attribute)
        return next((one for one in self.associations if (one.codebook, one.attribute) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; figures that do not exist are None."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "tokaudio": __version__,
            "tokenizer": dict(self.tokenizer),
            "facts": dict(self.facts),
            "warning": self.warning,
            "sentences": self.sentences(),
            "roles": [role.to_dict() for role in self.roles],
            "information": [one.to_dict() for one in self.associations],
            "sections": {name: None if part is None else part.to_dict() for name, part in self.sections.items()},
            "notes": list(self.notes),
        }
        plain: dict[str, Any] = _plain(document)
        return plain

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def to_html(self, audio: Any = None, *, sample_rate: int | None = None) -> str:
        """Return a page that holds everything, to be opened from disk.

        Args:
            audio: what was analysed, as for `report`, so that examples of codes can be listened to; None for silence.
            sample_rate: of samples, in Hz.

        Raises:
            AnalysisError: if the audio is of no known kind.
            AudioError: if a manifest cannot be read.
            MissingDependencyError: if jinja2 is not installed.
        """
        from tokaudio.analysis.pages.listening import example_clips, held_clips, sounds_by_name
        from tokaudio.analysis.pages.report_page import report_page

        document = self.to_dict()
        prototypes = document["sections"].get("prototypes")
        sounds = {} if audio is None else sounds_by_name(audio, sample_rate)
        return report_page(
            document,
            example_clips(prototypes, sounds) if prototypes and sounds else None,
            held_clips(self.held) if self.held else None,
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row for each codebook and attribute: what `to_dataframe` is made of."""
        return [_plain(_row(one)) for one in self.associations]

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a table with a row for each codebook and attribute.

        Raises:
            MissingDependencyError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            text = one_line("pandas", "is not installed", "run: pip install 'tokaudio[viz]', or use rows()")
            raise MissingDependencyError(text) from error
        return pandas.DataFrame(self.rows())


def _row(one: Association) -> dict[str, Any]:
    share = None if one.interval is None else one.interval.share
    return {
        "codebook": one.codebook,
        "attribute": one.attribute,
        "score": one.score,
        "enough": one.enough,
        "low": None if share is None else share.low,
        "high": None if share is None else share.high,
        "settled": one.settled,
        "floor": one.floor,
        "beyond_chance": one.beyond_chance,
        "bits": one.bits,
        "bits_low": None if one.interval is None else one.interval.information.low,
        "bits_high": None if one.interval is None else one.interval.information.high,
        "entropy": one.information.entropy,
        "pnmi": one.information.pnmi,
        "phone_purity": one.information.phone_purity,
        "cluster_purity": one.information.cluster_purity,
        "variance_explained": one.variance,
        "frames": one.information.frames,
    }


def _plain(value: Any) -> Any:
    """Return a value of which JSON can be made: no tuples, and None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
