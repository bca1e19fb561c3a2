"""Blocks of code in Markdown pages."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: as the fence says, or nothing.
        code: its lines, as they stand in the page.
        line: number of the fence's line in the page, from 1.
    """

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^( *)```([\w+-]*)[^\n]*\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(one[2], one[3], text.count("\n", 0, one.start()) + 1) for one in found]


def pages() -> list[Path]:
    """Return all pages that readers see: the README and those of the site."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return a page's path within the project."""
    return page.relative_to(ROOT).as_posix()
