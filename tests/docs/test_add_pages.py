"""Pages on adding a part, followed to the letter in a copy of the package: one file, one line, and the proof runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import DOCS, ROOT, blocks

PAGES = {
    "add-a-tokenizer": "FAMILIES = Families(\n    {\n",
    "add-a-quantizer": "QUANTIZERS: dict[str, type[Quantizer]] = {\n",
    "add-a-probe-task": "TASKS = {\n",
}
"""For each page, after what the line goes into the registry."""


def follow(page: Path, package: Path, after: str) -> str:
    """Do in a copy of the package what a page says, and return the code of its proof."""
    text = page.read_text(encoding="utf-8")
    new, proof = (block.code for block in blocks(page) if block.language == "python")
    (lines,) = (block.code.splitlines() for block in blocks(page) if block.language == "text")
    file, registry = (package.parent / path for path in re.findall(r"`(tokaudio/[\w/]+\.py)`", text)[:2])
    file.write_text(new, encoding="utf-8")
    for line in lines:
        place = "from tokaudio" if line.startswith("from ") else after
        before, found, behind = registry.read_text(encoding="utf-8").partition(place)
        assert found
        added = f"{line}\n{found}" if line.startswith("from ") else f"{found}    {line}\n"
        registry.write_text(before + added + behind, encoding="utf-8")
    return proof


@pytest.mark.parametrize("name", PAGES)
def test_who_follows_the_page_has_a_part_that_keeps_every_promise(name: str, tmp_path: Path):
    package = tmp_path / "tokaudio"
    shutil.copytree(ROOT / "tokaudio", package, ignore=shutil.ignore_patterns("__pycache__", "assets"))
    (package / "assets").symlink_to(ROOT / "tokaudio" / "assets")
    proof = follow(DOCS / "how-to" / f"{name}.md", package, PAGES[name])
    done = subprocess.run(
        [sys.executable, "-c", proof],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "BROKEN" not in done.stdout
    assert done.stdout.strip(), "the proof says what it found"
