"""What comments in a page promise: the shape of what a line gives, and what it prints."""

from __future__ import annotations

import ast
import re
from typing import Any

from tokaudio import Tokens

# `[B, 8, T]`, with words, numbers and products for dimensions; not a list in lists.
_SHAPE = re.compile(r"(?<!\[)\[(\w[\w *]*(?:, *\w[\w *]*)*)\](?!\])")


def check_promise(statement: ast.stmt, comment: str, value: Any, printed: str) -> None:
    """Hold a statement to the comment behind it.

    A comment behind `print` begins with what is printed, or with a small letter. Behind others, the first shape in
    brackets is that of the value (the last one, where it says `... to ...`): as many dimensions, numbers as they are.

    Raises:
        AssertionError: if the comment says something else than what is.
    """
    shape = stated_shape(comment)
    if _prints(statement):
        said = " ".join(printed.split())
        if shape is None and comment and not comment[0].islower():
            assert comment.startswith(said), f"prints {said!r}, and the page says {comment!r}"
            return
        value = _size(said) if shape is not None else None
    if shape is not None and isinstance(statement, ast.Expr | ast.Assign):
        _check_shape(shape, value, comment)


def stated_shape(comment: str) -> list[str] | None:
    """Return the dimensions of the shape that a comment states for a line's value, or None.

    Lists of numbers alone are values, not shapes, unless something is said of them.
    """
    found = _SHAPE.findall(comment)
    if not found:
        return None
    last = re.search(r"\] to [^\]]*\[", comment) is not None
    return [part.strip() for part in found[-1 if last else 0].split(",")]


def _check_shape(stated: list[str], value: Any, comment: str) -> None:
    if isinstance(value, Tokens):
        value = value.codes
    if isinstance(value, list | tuple) and value and hasattr(value[0], "shape"):
        value = value[0]
    shape = value if isinstance(value, list) else list(getattr(value, "shape", ()))
    assert len(shape) == len(stated), f"has shape {shape}, and the page says {comment!r}"
    for is_, said in zip(shape, stated, strict=True):
        assert not said.isdigit() or int(said) == is_, f"has shape {shape}, and the page says {comment!r}"
    if re.search(r"\b(codes|integers|int64)\b", comment) and hasattr(value, "dtype"):
        assert "int" in str(value.dtype), f"has dtype {value.dtype}, and the page says {comment!r}"


def _prints(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _size(said: str) -> list[int]:
    """Return the numbers of a printed shape."""
    return [int(number) for number in re.findall(r"\d+", said)]
