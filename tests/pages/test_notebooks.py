"""Every notebook runs as it stands, and stores what running it gives: no cell without output, none with an error."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))

# A file named from the root of a disk: what stands in warnings and in errors.
ABSOLUTE = re.compile(r"(?<![\w./:<])/[\w.-]+/[\w./-]*\.(?:py|pyc|so|wav|npz|ipynb)\b")

# A minute of one core in all, on a machine that does other things as well.
pytestmark = pytest.mark.timeout(600)


def outputs(notebook: Any) -> list[list[str]]:
    """Return of each cell of code which kinds of output it has: text, pictures, players; pieces of text count once."""
    kinds = []
    for cell in (one for one in notebook.cells if one.cell_type == "code"):
        found: list[str] = []
        for one in cell.outputs:
            kind = one.get("name") or " ".join(sorted(one.get("data", {}))) or one.output_type
            if found[-1:] != [kind]:
                found.append(kind)
        kinds.append(found)
    return kinds


def shown(notebook: Any) -> None:
    """Hold stored outputs to what readers must see.

    Raises:
        AssertionError: where a cell was not run, failed, or wrote to stderr, or nothing is seen or heard.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "not run from top to bottom"
    every = [kind for kinds in outputs(notebook) for kind in kinds]
    assert "error" not in every and "stderr" not in every
    assert any("image/png" in kind for kind in every) and "stdout" in every


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_stores_what_it_gives(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    shown(stored)
    # From a copy of its folder, beside the recordings, offline and on one thread.
    shutil.copytree(EXAMPLES / "audio", tmp_path / "audio")
    (tmp_path / "notebooks").mkdir()
    for name, value in {"PYTHONPATH": str(EXAMPLES.parent), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    fresh = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path / "notebooks")}}).execute()
    assert outputs(fresh) == outputs(stored), "stored outputs are of other code: run it and save it"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_holds_no_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 300_000
    assert ABSOLUTE.findall(text.replace("\\n", " ")) == [] and "Traceback" not in text


def test_notebooks_are_numbered_and_three() -> None:
    assert [path.name[:3] for path in NOTEBOOKS] == ["01_", "02_", "03_"]


@pytest.mark.parametrize("damage", ["missing", "failed"])
def test_what_is_missing_or_failed_is_found(damage: str) -> None:
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)  # type: ignore[no-untyped-call]
    cell = [one for one in notebook.cells if one.cell_type == "code"][2]
    if damage == "missing":
        cell.outputs, cell.execution_count = [], None
    else:
        cell.outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])]  # type: ignore[no-untyped-call]
    with pytest.raises(AssertionError):
        shown(notebook)
