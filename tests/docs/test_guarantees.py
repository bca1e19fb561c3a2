"""Every line of the page on guarantees names a proof that exists."""

import ast
import re
from functools import cache

import pytest

from tests.docs.markdown import DOCS, ROOT
from tokaudio.testing.tokenizers import LAWS

PAGE = DOCS / "guarantees.md"
ROWS = re.findall(r"^\| (?!guarantee|---)(.+?) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


@cache
def names_in(path: str) -> set[str]:
    """Return the tests of a file, those of classes with the class in front."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    for group in (one for one in tree.body if isinstance(one, ast.ClassDef)):
        found |= {f"{group.name}::{one.name}" for one in group.body if isinstance(one, ast.FunctionDef)}
    return found


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
