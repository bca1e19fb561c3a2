"""Links and anchors of a page, and the files of the project that it names."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tests.docs.markdown import ROOT

_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^()\s]+(?:\([^()]*\))?)(?: \"[^\"]*\")?\)|(?:href|src)=\"([^\"]+)\"")
_NAMED = re.compile(r"`((?:tests|examples|benchmarks|docs|tokaudio)/[\w./-]+\.(?:py|md|toml|txt|json|wav))`")


@dataclass(frozen=True)
class Link:
    """Where a page points.

    Attributes:
        where: page and line.
        target: as it stands there.
    """

    where: str
    target: str


def links(page: str) -> list[Link]:
    """Return the relative links of a page, in order."""
    text = _prose(page)
    found = ((one, one[1] or one[2]) for one in _LINK.finditer(text))
    return [_at(page, text, one, target) for one, target in found if not re.match(r"\w+:|//", target)]


def named_files(page: str) -> list[Link]:
    """Return the files of the project that a page names in its text."""
    text = _prose(page)
    return [_at(page, text, one, one[1]) for one in _NAMED.finditer(text)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings, as the site and GitHub both spell them, and those that it sets."""
    text = page.read_text(encoding="utf-8")
    for included in re.findall(r"^--8<-- \"([^\"]+)\"$", text, flags=re.MULTILINE):
        text += (ROOT / included).read_text(encoding="utf-8")
    text = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set(re.findall(r"(?:id|name)=\"([^\"]+)\"", text))
    for title in re.findall(r"^#+ +(.+)$", text, flags=re.MULTILINE):
        own = re.search(r"\{ *#([\w-]+)", title)
        found.add(own[1] if own else _slug(title))
    return found


def problem(link: Link) -> str:
    """Return what is wrong with a link, or nothing."""
    path, _, anchor = link.target.partition("#")
    page = ROOT / link.where.rpartition(":")[0]
    target = (page.parent / path).resolve() if path else page
    if target.parent == ROOT / "docs" / "notebooks":
        # The site makes these pages of notebooks.
        target = ROOT / "examples" / "notebooks" / f"{target.stem}.ipynb"
    if not target.exists():
        return "is missing"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return f"has no heading for #{anchor}"
    return ""


def _slug(title: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def _prose(page: str) -> str:
    """Return a page's text without blocks of code, with its lines where they are."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"^( *)```.*?^\1```", lambda one: "\n" * one[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)


def _at(page: str, text: str, found: re.Match[str], target: str) -> Link:
    return Link(f"{page}:{text.count(chr(10), 0, found.start()) + 1}", target)
