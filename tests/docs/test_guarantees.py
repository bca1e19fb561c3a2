"""Every line of the page on guarantees names a proof that exists."""

import ast
import re
from functools import cache

import pytest

from tests.docs.markdown import DOCS, ROOT
from tests.gate import GATE
from tokaudio.testing.tokenizers import LAWS

PAGE = DOCS / "guarantees.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROMISES, _, BATTERY = TEXT.partition("## The battery")
ROWS = re.findall(r"^\| (?!guarantee|---)(.+?) \| (.+?) \|$", PROMISES, flags=re.MULTILINE)
GATE_TEXT, _, NIGHTLY_TEXT = BATTERY.partition("tests/nightly")
GATE_ROWS = re.findall(r"^\| ([A-E]\d+) \| (.+?) \|$", GATE_TEXT, flags=re.MULTILINE)
NIGHTLY_ROWS = re.findall(
    r"^\| ([A-E]\d.*?) \| (.+?) \| (.+?) \| (.*?) ?\| (.*?) ?\|$", NIGHTLY_TEXT, flags=re.MULTILINE
)
NIGHTLY = {*("A1", "A3", "A5", "A7", "A12", "B7", "B8", "B12", "B14"), *(f"C{n}" for n in range(7, 15))}
NIGHTLY |= {*(f"D{n}" for n in range(1, 6)), "E1", "E4", "E5", "E6"}


@cache
def names_in(path: str) -> set[str]:
    """Return the tests of a file, those of classes with the class in front."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    for group in (one for one in tree.body if isinstance(one, ast.ClassDef)):
        found |= {f"{group.name}::{one.name}" for one in group.body if isinstance(one, ast.FunctionDef)}
    return found


def exists(test: str) -> None:
    """Require a file, a folder or a test of a file."""
    path, _, name = test.partition("::")
    assert (ROOT / path).exists(), test
    assert not name or name in names_in(path), f"{path} has no {name}"


@pytest.mark.parametrize("check", GATE)
def test_the_tests_of_a_gate_check_exist_and_the_page_tells_of_it(check: str):
    for test in GATE[check]:
        exists(test)
    assert [code for code, _ in GATE_ROWS] == list(GATE)


def test_every_nightly_check_is_told_of():
    told = {code for row in NIGHTLY_ROWS for code in re.findall(r"[A-E]\d+", row[0])}
    assert told >= NIGHTLY and len(NIGHTLY) == 26


@pytest.mark.parametrize("row", NIGHTLY_ROWS, ids=[row[0] for row in NIGHTLY_ROWS])
def test_the_command_of_a_nightly_check_exists(row: tuple[str, ...]):
    check, _, result, day, command = row
    assert result.strip() and "@" not in result
    if result.startswith("not run"):
        assert not day and not command
        return
    assert re.fullmatch(r"2\d{3}-\d\d-\d\d|each time", day), f"{check}: {day!r}"
    program, *words = command.strip("`").split()
    if program == "pytest":
        for word in words:
            exists(word)
        return
    assert program == "python", command
    path = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
    assert (ROOT / path).is_file(), command
    for part in [word for word in words[1 + (words[0] == "-m") :] if word.isalpha()]:
        assert part in (ROOT / path).read_text(encoding="utf-8"), f"{path} knows no {part}"


def test_there_are_guarantees():
    assert len(ROWS) > 30


@pytest.mark.parametrize(("guarantee", "proof"), ROWS, ids=[guarantee[:40] for guarantee, _ in ROWS])
def test_the_proof_of_a_guarantee_exists(guarantee: str, proof: str):
    tests = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", proof)
    laws = re.findall(r"`([a-z_ ]+)`", proof) if "law" in proof else []
    assert tests or laws or "`tests/parity`" in proof, f"nothing proves: {guarantee}"
    assert set(laws) <= set(LAWS)
    for path, name in tests:
        assert name in names_in(path), f"{path} has no {name}"
