"""What a report's page says in words, beside what each codebook carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokaudio.pages.templating import percent

MEASURES = {
    "usage": "usage",
    "rarefaction": "rarefaction",
    "power_laws": "power laws",
    "runs": "run lengths",
    "temporal_redundancy": "temporal redundancy",
    "redundancy": "redundancy between codebooks",
    "predictability": "predictability",
    "incremental": "what codebooks add",
    "probes": "linear probes",
    "ablation": "ablation by decoding",
    "swaps": "swapped codebooks",
    "robustness": "robustness",
    "prototypes": "prototypes of codes",
    "maps": "maps of codebooks",
    "neighbours": "neighbours of codes",
}
"""Sections of a report, and what they are called where one is missing."""


_HALF = 0.5


def highlights(document: Mapping[str, Any]) -> list[str]:
    r"""Return what is striking beside the roles, one sentence each.

    Example:
        >>> usage = {"nominal_bps": 4000.0, "effective_bps": 3800.0, "efficiency": 0.95}
        >>> usage["codebooks"] = [{"size": 8, "used": 2, "codes": 90, "utilisation": 0.25, "enough": True}]
        >>> highlights({"sections": {"usage": usage}})[0]
        'Codes have 3.80 kbit/s of information where 4.00 kbit/s are sent: 95\xa0%.'
    """
    sections = document["sections"]
    return [
        *_of_usage(sections.get("usage")),
        *_of_prediction(sections.get("usage"), sections.get("predictability")),
        *_of_swaps(sections.get("swaps")),
        *_of_robustness(sections.get("robustness")),
    ]


def _seen_enough(usage: Mapping[str, Any]) -> bool:
    return all(one["enough"] for one in usage["codebooks"])


def _of_usage(usage: Mapping[str, Any] | None) -> Iterator[str]:
    if usage is None:
        return
    if not _seen_enough(usage):
        seen = max(one["codes"] for one in usage["codebooks"])
        yield f"How much of the codebooks is used cannot be told from {seen:,} frames: there are few of each code."
        return
    if usage["effective_bps"] is not None and usage["efficiency"] is not None:
        told = f"{usage['effective_bps'] / 1000:.2f} kbit/s of information"
        sent = f"{usage['nominal_bps'] / 1000:.2f} kbit/s are sent"
        yield f"Codes have {told} where {sent}: {percent(usage['efficiency'])}."
    books = list(enumerate(usage["codebooks"]))
    number, least = min(books, key=lambda one: one[1]["utilisation"])
    which = "The codebook" if len(books) == 1 else f"Of all codebooks, number {number} is used least: it"
    yield f"{which} has {least['used']:,} of its {least['size']:,} codes in use ({percent(least['utilisation'])})."


def _of_prediction(usage: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> Iterator[str]:
    if usage is None or found is None or not _seen_enough(usage):
        return
    bits = [one for one in found["bits_per_second"] if one is not None]
    if bits and usage["nominal_bps"]:
        best = min(bits)
        order = found["bits_per_second"].index(best) + 1
        yield (
            f"A {order}-gram model of the codes needs {best / 1000:.2f} kbit/s on recordings that it has not seen "
            f"({percent(best / usage['nominal_bps'])} of what is sent)."
        )


def _of_swaps(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    books = found["codebooks"]
    heard = [one for one in books if one["donor_nearer"] is not None and one["donor_nearer"]["value"] is not None]
    if heard:
        most = max(heard, key=lambda one: one["donor_nearer"]["value"])
        share = most["donor_nearer"]["value"]
        yield (
            f"Put among the others of another sound, codebook {most['codebook']} takes the voice along in "
            f"{percent(share)} of cases."
            if share > _HALF
            else f"No codebook alone takes the voice along to another sound: with codebook {most['codebook']}, most "
            f"often, the voice is the donor's in {percent(share)} of cases."
        )
    read = [one for one in books if one["host_words"] is not None and one["host_words"]["value"] is not None]
    if read:
        most = max(read, key=lambda one: one["host_words"]["value"])
        yield (
            f"Words suffer most where codebook {most['codebook']} is from another sound: "
            f"{percent(most['host_words']['value'])} word errors."
        )


def _of_robustness(found: Mapping[str, Any] | None) -> Iterator[str]:
    if found is None or not found["transforms"]:
        return

    def mean(change: Mapping[str, Any]) -> float:
        known = [one["agreement"]["value"] for one in change["codebooks"] if one["agreement"]["value"] is not None]
        return sum(known) / len(known) if known else 1.0

    worst = min(found["transforms"], key=mean)
    yield f"Of the changes to the sound, {worst['name']} changes codes most: {percent(mean(worst))} of them stay."
