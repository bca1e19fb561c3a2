"""Tables of facts on pages, from the catalogue: no page states a rate or a licence that the code does not know.

`<!-- tokenizers: compression -->` becomes the table of all tokenizers of a kind, `<!-- family: FAMILY -->` that of a
family, `<!-- facts: NAME -->` that of one.
"""

from __future__ import annotations

import re
from typing import Any

from tokaudio.catalogue import Entry, entries, published
from tokaudio.spec import TokenizerSpec

HEAD = ("name", "sample rate", "frames/s", "codebooks", "kbps", "licence", "compared")
PIECES = {"exact": "the codes of the whole", "state": "the codes of the whole, by a state that goes along"}
OTHER_PIECES = "codes may differ from those of the whole"
FAMILY_HEAD = ("name", "causal", "in pieces", "weights", "licence", "compared")
BRIEFLY = {"exact": "exact", "state": "exact, by a state"}
SOURCES = {"built-in": "ships inside", "hub": "from the Hub", "files": "from files that you fetch"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks by tables."""
    markdown = re.sub(r"<!-- tokenizers: (\w+) -->", lambda found: overview(found[1]), markdown)
    markdown = re.sub(r"<!-- family: (\w+) -->", lambda found: family(found[1]), markdown)
    return re.sub(r"<!-- facts: ([\w.-]+) -->", lambda found: facts(found[1]), markdown)


def overview(kind: str) -> str:
    """Return the table of all tokenizers of a kind."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for entry in (entry for entry in entries() if entry.spec.kind == kind):
        spec = entry.spec
        name = f"[`{spec.name}`]({page_of(entry)})"
        rate = f"{spec.sample_rate / 1_000:g} kHz"
        cells = (name, rate, f"{float(spec.frame_rate):g}", books(spec), f"{spec.bitrate_kbps:.3g}", spec.licence)
        lines.append(f"| {' | '.join(cells)} | {entry.status} |")
    return "\n".join(lines)


def family(name: str) -> str:
    """Return the table of what differs in use between the tokenizers of a family.

    Raises:
        KeyError: if there is no such family.
    """
    found = [entry for entry in published() if entry.family == name]
    if not found:
        raise KeyError(f"assets/published.toml: no family {name}")
    lines = [f"| {' | '.join(FAMILY_HEAD)} |", "|---" * len(FAMILY_HEAD) + "|"]
    for entry in found:
        spec = entry.spec
        origin = (
            f"[`{entry.repo}`](https://huggingface.co/{entry.repo})" if entry.where == "hub" else SOURCES[entry.where]
        )
        cells = (f"`{spec.name}`", _yes(spec.causal), BRIEFLY.get(spec.chunking, "may differ"), origin, spec.licence)
        lines.append(f"| {' | '.join(cells)} | {entry.status} |")
    return "\n".join(lines)


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def facts(name: str) -> str:
    """Return the table of one tokenizer."""
    entry = next(entry for entry in [*entries(), *published()] if entry.name == name)
    spec = entry.spec
    rows = {
        "kind": spec.kind,
        "sample rate": f"{spec.sample_rate:,} Hz in, {spec.output_sample_rate:,} Hz out, {spec.channels} channel(s)",
        "frames per second": f"{float(spec.frame_rate):g} (one for every {spec.hop_length} samples)",
        "codebooks": books(spec),
        "codes per second": f"{float(spec.token_rate):g}",
        "bitrate": f"{spec.bitrate_kbps:.3g} kbps with all codebooks",
        "causal": _yes(spec.causal),
        "pieces, streams": PIECES.get(spec.chunking, OTHER_PIECES),
        "weights": f"{SOURCES[entry.where]}; {spec.licence}",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {title} | {text} |" for title, text in rows.items())])


def books(spec: TokenizerSpec) -> str:
    """Return how many codebooks of which sizes there are, as in `8 x 1024`."""
    sizes = spec.codebook_sizes
    return f"{len(sizes)} x {sizes[0]}" if len(set(sizes)) == 1 else " + ".join(map(str, sizes))


def page_of(entry: Entry) -> str:
    """Return the page about a tokenizer, seen from the overview."""
    if entry.family == "semantic":
        return "../published-kmeans.md"
    return f"{entry.name if entry.where == 'built-in' else entry.family}.md"
