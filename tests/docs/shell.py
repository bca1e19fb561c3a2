"""The command lines of a page: `tokaudio ...` in blocks of a shell, and in the text between them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tests.docs.markdown import ROOT, Block, blocks

_SHELLS = ("bash", "sh", "shell", "console")
_SEPARATORS = {"|", "||", "&&", "&", ";"}
_RUNS = re.compile(r"(^|[;&|$] *|\bdo )tokaudio ", flags=re.MULTILINE)
_SYNTAX = re.compile(r"^(for|while|if|case|function|do|done)\b|\$\(|\$\w|`|<<")


@dataclass(frozen=True)
class Command:
    """A run of `tokaudio`.

    Attributes:
        where: page and line.
        text: the line as it stands there, without its comment.
        arguments: what follows `tokaudio`.
        bare: whether nothing stands before it, such as `srun`.
    """

    where: str
    text: str
    arguments: tuple[str, ...]
    bare: bool = True


def commands(page: str) -> list[Command]:
    """Return the commands in a page's blocks, in order.

    Raises:
        ValueError: if a block uses more of the shell than is read here, such as loops.
    """
    return [one for block in blocks(ROOT / page) for line, text in _lines(block) for one in _of_line(page, line, text)]


def mentions(page: str) -> list[Command]:
    """Return the commands that a page's text names in passing; they may be cut short, and have names in capitals."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^( *)```.*?^\1```", lambda one: "\n" * one[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    found = []
    for one in re.finditer(r"(?<!`)`tokaudio\s([^`]+)`(?!`)", text):
        line = text.count("\n", 0, one.start()) + 1
        found.append(Command(f"{page}:{line}", one[0], tuple(shlex.split(one[1]))))
    return found


def _lines(block: Block) -> list[tuple[int, str]]:
    """Return the logical lines of a block that are commands, with the numbers of their first lines."""
    if block.language not in _SHELLS and (block.language or not _RUNS.search(block.code)):
        return []
    found, held, first = [], "", 0
    for number, line in enumerate(block.code.splitlines(), block.line + 1):
        first = first if held else number
        held += line.strip()
        if held.endswith("\\"):
            held = held[:-1]
            continue
        if block.language != "console" or held.startswith("$ "):
            found.append((first, held.removeprefix("$ ")))
        held = ""
    return found


def _of_line(page: str, line: int, text: str) -> list[Command]:
    words = shlex.shlex(text, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    bare = text.split(" #", maxsplit=1)[0].strip()
    if _SYNTAX.search(bare) and not bare.startswith("#"):
        raise ValueError(f"{page}:{line}: {bare}: is more of the shell than tests/docs/shell.py reads; say it plainly")
    found, simple = [], []
    for word in [*words, ";"]:
        if word not in _SEPARATORS:
            simple.append(word)
            continue
        if "tokaudio" in simple:
            at = simple.index("tokaudio")
            arguments = tuple(_without_redirections(simple[at + 1 :]))
            found.append(Command(f"{page}:{line}", bare, arguments, bare=at == 0))
        simple = []
    return found


def _without_redirections(words: list[str]) -> list[str]:
    kept = [word for at, word in enumerate(words) if not {word, words[at - 1] if at else ""} & {">", ">>", "<"}]
    return [word for word in kept if not re.fullmatch(r"[<>&]+", word)]
