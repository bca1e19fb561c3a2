"""Two or more tokenizers side by side: their reports on the same audio, and what their codes say about each other.

found = compare([one, other], "manifest.jsonl")  # see comparing.py
found.sentences(), found.to_json(), found.to_html()
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.codes.token_association import TokenAssociation
from tokaudio.pages.templating import fixed

FORMAT = "tokaudio-comparison"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tokenizers side by side.

    Attributes:
        reports: of each, on the same audio.
        names: of each, no two alike.
        bitrates: of each, of its first codebook, its first two, and so on, in bit/s.
        associations: of the first codebooks of each with those of each other one.
        notes: what the reader ought to know.
    """

    reports: tuple[Report, ...]
    names: tuple[str, ...]
    bitrates: tuple[tuple[float, ...], ...]
    associations: tuple[TokenAssociation, ...]
    notes: tuple[str, ...] = ()

    def at_equal_bitrate(self) -> tuple[float, list[dict[str, Any]]]:
        """Return the bitrate that all can have, and what each says there about each attribute.

        Each tokenizer has as many of its codebooks as fit into the whole bitrate of the thriftiest one.

        Returns:
            The bitrate in bit/s, and for each attribute its name and one entry for each tokenizer: codebooks, their
            bitrate, and the share that they say of what there is to know; None where it was not measured, or where
            not even one codebook fits.
        """
        limit = min(rates[-1] for rates in self.bitrates)
        parts = [_increments(one) for one in self.reports]
        rows = []
        for attribute in dict.fromkeys(name for part in parts for name in part):
            entries: list[dict[str, Any] | None] = []
            for part, rates in zip(parts, self.bitrates, strict=True):
                count = sum(rate <= limit * (1 + 1e-9) for rate in rates)
                shares = part.get(attribute)
                fits = shares is not None and 0 < count <= len(shares)
                entries.append(
                    {"codebooks": count, "bitrate_bps": rates[count - 1], "share": shares[count - 1]}
                    if fits and shares is not None
                    else None
                )
            rows.append({"attribute": attribute, "tokenizers": entries})
        return limit, rows

    def warnings(self) -> list[str]:
        """Return what too little audio leaves unknown of each tokenizer, where there was too little."""
        reports = zip(self.names, self.reports, strict=True)
        return [f"{name}: {one.warning}" for name, one in reports if one.warning is not None]

    def sentences(self) -> list[str]:
        """Return the comparison in words: rates, what is said at equal bitrate, and the closest codebooks."""
        found = []
        for name, one in zip(self.names, self.reports, strict=True):
            usage = one.to_dict()["sections"]["usage"]
            seen = all(book["enough"] for book in usage["codebooks"])
            carried = f", of which {usage['effective_bps'] / 1000:.2f} are information" if seen else ""
            found.append(
                f"{name}: {len(one.tokenizer['codebook_sizes'])} codebooks, "
                f"{one.tokenizer['frame_rate']:g} frames per second, "
                f"{usage['nominal_bps'] / 1000:.2f} kbit/s{carried}."
            )
        limit, rows = self.at_equal_bitrate()
        for row in rows:
            told = [
                f"{name} {fixed(entry['share'])} ({entry['bitrate_bps'] / 1000:.2f} kbit/s)"
                for name, entry in zip(self.names, row["tokenizers"], strict=True)
                if entry is not None
            ]
            if len(told) > 1:
                what = row["attribute"][0].upper() + row["attribute"][1:]
                found.append(f"{what}, at {limit / 1000:.2f} kbit/s or less: {', '.join(told)}.")
        closest = sorted(self.associations, key=lambda one: -max(one.told_of_first, one.told_of_second))[:3]
        return [*found, *(one.sentence() for one in closest)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; figures that do not exist are None."""
        limit, rows = self.at_equal_bitrate()
        return {
            "format": FORMAT,
            "version": VERSION,
            "names": list(self.names),
            "warnings": self.warnings(),
            "sentences": self.sentences(),
            "bitrates_bps": [list(rates) for rates in self.bitrates],
            "equal_bitrate": {"bitrate_bps": limit, "attributes": rows},
            "associations": [one.to_dict() for one in self.associations],
            "reports": [one.to_dict() for one in self.reports],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def to_html(self) -> str:
        """Return a page that holds everything, to be opened from disk.

        Raises:
            MissingDependencyError: if jinja2 is not installed.
        """
        from tokaudio.analysis.pages.comparison_page import comparison_page

        return comparison_page(self.to_dict())


def _increments(one: Report) -> dict[str, list[float]]:
    section = one.sections.get("incremental")
    return {} if section is None else {row["attribute"]: row["shares"] for row in section.to_dict()["rows"]}
