"""Shaded tables of a report's page: roles, bands, redundancy and robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokaudio.pages.heat_maps import HeatMap, Shade, heat_map
from tokaudio.pages.templating import NOTHING, fixed, percent


def role_map(information: Sequence[Mapping[str, Any]]) -> HeatMap | None:
    """Return what each codebook says about each attribute; None if nothing was asked.

    Example:
        >>> one = {"codebook": 0, "attribute": "phone", "score": 0.6, "settled": True, "floor": 0.1}
        >>> one |= {"enough": True, "beyond_chance": True, "interval": {"share": {"low": 0.5, "high": 0.7}}}
        >>> role_map([one]).rows[0][1][0].tip
        'codebook 0, phone: 0.60 (0.50 to 0.70), floor 0.10'
    """
    if not information:
        return None
    books = sorted({one["codebook"] for one in information})
    attributes = list(dict.fromkeys(one["attribute"] for one in information))
    at = {(one["codebook"], one["attribute"]): one for one in information}
    rows = {name: [_role(at.get((book, name)), book, name) for book in books] for name in attributes}
    return heat_map("Score of each codebook, by attribute", [str(book) for book in books], rows)


def _role(one: Mapping[str, Any] | None, book: int, name: str) -> Shade:
    if one is None:
        return Shade(None, NOTHING, f"codebook {book}, {name}: not measured")
    if not one["enough"]:
        return Shade(None, "?", f"codebook {book}, {name}: too little audio to tell, floor {fixed(one['floor'])}")
    interval = "" if one["interval"] is None else _between(one["interval"]["share"])
    said = [f"codebook {book}, {name}: {fixed(one['score'])}{interval}", f"floor {fixed(one['floor'])}"]
    if not one["beyond_chance"]:
        said.append("not to be told from chance")
    if one["settled"] is False:
        said.append("more audio would make it surer")
    return Shade(one["score"], fixed(one["score"]), ", ".join(said))


def band_map(ablation: Mapping[str, Any]) -> HeatMap:
    """Return where in the spectrum the codes of each codebook matter.

    Example:
        >>> level = {"value": 4.0, "interval": None}
        >>> band_map({"bands": [[0.0, 500.0]], "attribution": [{"shares": [1.0], "levels": [level]}]}).rows[0][0]
        '0 to 500 Hz'
    """
    rows = {}
    for number, (low, high) in enumerate(ablation["bands"]):
        name = f"{low:.0f} to {high:.0f} Hz"
        rows[name] = [
            Shade(
                one["shares"][number],
                percent(one["shares"][number]),
                f"codebook {book}, {name}: {percent(one['shares'][number], 1)} of the difference, level changes by "
                f"{fixed(one['levels'][number]['value'], 1)} dB{_interval(one['levels'][number]['interval'])}",
            )
            for book, one in enumerate(ablation["attribution"])
        ]
    columns = [str(book) for book in range(len(ablation["attribution"]))]
    return heat_map("Where shuffled codes change the sound", columns, rows, top=1.0)


def redundancy_map(pairs: Sequence[Sequence[Mapping[str, Any] | None]]) -> HeatMap | None:
    """Return what pairs of codebooks have in common; None of one codebook.

    Example:
        >>> shared = {"normalised": 0.2, "corrected": 1.0, "floor": 0.5}
        >>> redundancy_map([[None, shared], [shared, None]]).rows[0][1][1].text
        '0.20'
    """
    if len(pairs) < 2:
        return None
    rows = {
        f"codebook {one}": [
            Shade(None, NOTHING, f"codebook {one} with itself")
            if pair is None
            else Shade(
                pair["normalised"],
                fixed(pair["normalised"]),
                f"codebooks {one} and {other}: {fixed(pair['normalised'])} of what there can be in common "
                f"({fixed(pair['corrected'])} bits, floor {fixed(pair['floor'])})",
            )
            for other, pair in enumerate(row)
        ]
        for one, row in enumerate(pairs)
    }
    return heat_map("What codebooks have in common", [str(book) for book in range(len(pairs))], rows)


def robustness_map(transforms: Sequence[Mapping[str, Any]]) -> HeatMap | None:
    r"""Return how many codes stay the same when the sound is changed; None if there is no change.

    Example:
        >>> book = {"agreement": {"value": 0.9, "interval": None}, "edit_distance": {"value": 0.1, "interval": None}}
        >>> robustness_map([{"name": "gain", "codebooks": [book | {"chance": 0.01}]}]).rows[0][1][0].tip
        'gain, codebook 0: 90.0\xa0% of the codes stay, 1.0\xa0% by chance; unit edit distance 0.10'
    """
    if not transforms:
        return None
    rows = {
        change["name"]: [
            Shade(
                one["agreement"]["value"],
                percent(one["agreement"]["value"]),
                f"{change['name']}, codebook {book}: {percent(one['agreement']['value'], 1)}"
                f"{_interval(one['agreement']['interval'])} of the codes stay, {percent(one['chance'], 1)} by chance; "
                f"unit edit distance {fixed(one['edit_distance']['value'])}",
            )
            for book, one in enumerate(change["codebooks"])
        ]
        for change in transforms
    }
    books = [str(book) for book in range(len(transforms[0]["codebooks"]))]
    return heat_map("Codes that stay the same", books, rows, top=1.0)


def _between(share: Mapping[str, Any]) -> str:
    return f" ({fixed(share['low'])} to {fixed(share['high'])})"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" ({fixed(ends[0])} to {fixed(ends[1])})"
