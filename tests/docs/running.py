"""The Python of a page, run statement by statement and held to what its comments promise."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import tokenize
import traceback
import warnings
from pathlib import Path
from typing import Any

from tests.docs.markdown import ROOT, Block, blocks
from tests.docs.promises import check_promise

# Examples are whole programs, which tests/test_examples.py runs.
_EXAMPLE = re.compile(r'--8<-- "(examples/\w+\.py)"\n')


class PageError(AssertionError):
    """A statement of a page fails, or does not give what the page says."""


def run_page(page: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run all Python blocks of a page in one namespace, in order.

    Args:
        page: its path, from the root of the project.
        names: what the page's readers have already.

    Returns:
        The namespace at the end.

    Raises:
        PageError: names the page and the line that fails.
    """
    namespace: dict[str, Any] = {} if names is None else names
    namespace["__name__"] = "page"
    for block in blocks(ROOT / page):
        if block.language != "python":
            continue
        if found := _EXAMPLE.fullmatch(block.code):
            assert (ROOT / found[1]).is_file(), f"{page}:{block.line}: {found[1]} is missing"
        else:
            _run_block(block, ROOT / page, namespace)
    return namespace


def _run_block(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    """Run a block; its lines have the numbers that they have in the page."""
    source = "\n" * block.line + block.code
    try:
        statements = ast.parse(source, str(page)).body
    except SyntaxError as error:
        raise PageError(f"{page}:{error.lineno}: {error.msg}") from error
    comments = _comments(source)
    for statement in statements:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value, printed = _run(statement, page, namespace)
            check_promise(statement, comments.get(statement.end_lineno or 0, ""), value, printed)
        except Exception as error:
            where = f"{page}:{_line(error, page) or statement.lineno}"
            raise PageError(f"{where}: {type(error).__name__}: {error}") from error


def _run(statement: ast.stmt, page: Path, namespace: dict[str, Any]) -> tuple[Any, str]:
    """Run a statement; return its value, or that of the name it assigns, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), str(page), "eval"), namespace)
        else:
            exec(compile(ast.Module([statement], []), str(page), "exec"), namespace)
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            value = namespace[target.id] if isinstance(target, ast.Name) else None
    sys.stdout.write(said.getvalue())
    return value, said.getvalue()


def _comments(source: str) -> dict[int, str]:
    """Return the comments of a source by their lines, without the mark."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {one.start[0]: one.string.lstrip("# ") for one in tokens if one.type == tokenize.COMMENT}


def _line(error: BaseException, page: Path) -> int:
    """Return the page's innermost line that raised an error; 0 if none did."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(page)]
    return (lines[-1] if lines else None) or 0
