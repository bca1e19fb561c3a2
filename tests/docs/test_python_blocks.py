"""Every block of Python on every page runs as it stands, and gives what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from tests.docs import codecs, recordings, speech  # noqa: F401 - they register what their pages need
from tests.docs.markdown import ROOT, blocks, name_of, pages
from tests.docs.running import PageError, run_page
from tests.docs.stages import SETTINGS, Stage, set_stage
from tests.hub_server import Hub
from tokaudio import Tokens

# Pages that a test of their own runs, because more is asked of what they give.
ELSEWHERE = {
    "docs/corpus/encode.md": "tests/corpus/test_pages.py",
    "docs/corpus/formats.md": "tests/corpus/test_formats_page.py",
    "docs/corpus/verify.md": "tests/corpus/test_pages.py",
    "docs/how-to/add-a-probe-task.md": "tests/docs/test_add_pages.py",
    "docs/how-to/add-a-quantizer.md": "tests/docs/test_add_pages.py",
    "docs/how-to/add-a-tokenizer.md": "tests/docs/test_add_pages.py",
    "docs/probes/datasets.md": "tests/probes/test_pages.py",
    "docs/probes/probe.md": "tests/probes/test_probe_page.py",
    "docs/probes/ranking.md": "tests/probes/test_pages.py",
    "docs/probes/statistics.md": "tests/probes/test_pages.py",
    "docs/training-objectives.md": "tests/training/test_objectives_page.py",
}
PAGES = [name_of(page) for page in pages() if any(one.language == "python" for one in blocks(page))]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path / "scratch", hub, monkeypatch)
    stage.folder.mkdir()
    set_stage(page, stage)
    names = run_page(page, stage.names)
    tokens, sound = names.get("tokens"), names.get("sound")
    if isinstance(tokens, Tokens):
        assert len(tokens.codes.unique()) > 1
    if isinstance(tokens, Tokens) and isinstance(sound, Tensor) and sound.ndim == 3:
        assert sound.shape[2] == int(tokens.num_samples[0]) * tokens.spec.output_sample_rate // tokens.spec.sample_rate


def test_what_is_set_up_is_set_up_for_pages() -> None:
    assert set(SETTINGS) <= set(PAGES)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_other_pages_have_tests_that_run_them(page: str) -> None:
    text = (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")
    assert page in PAGES and Path(page).stem in text
    assert "run_page(" in text or ELSEWHERE[page] == "tests/docs/test_add_pages.py"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("nothing", "NameError: name 'nothing' is not defined"),
        ("def broken(", "'(' was never closed"),
        ("print(2 + 2)  # 5", "AssertionError: prints '4', and the page says '5'"),
        ("torch.zeros(2, 3)  # [B, K, T]", "AssertionError: has shape [2, 3], and the page says '[B, K, T]'"),
        ("x = torch.zeros(2, 3)  # [B, 4]", "AssertionError: has shape [2, 3], and the page says '[B, 4]'"),
        ("x = torch.zeros(2)  # codes [T]", "AssertionError: has dtype torch.float32, and the page says 'codes [T]'"),
    ],
)
def test_what_is_wrong_is_told_with_page_and_line(line: str, problem: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```python\nimport torch\n\n{line}\n```\n")
    with pytest.raises(PageError) as raised:
        run_page(str(page))
    assert str(raised.value) == f"{page}:6: {problem}"


def test_lines_that_hold_are_no_problem(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    lines = ["import torch", "x = torch.zeros(2, 3)  # from [2] to [B, D]", "print([1, 2], 'a')  # [1, 2] a, so"]
    page.write_text("\n".join(["```python", *lines, "print(x.shape)  # [B, 3]: rows", "print(1)  # prose", "```\n"]))
    assert run_page(str(page))["x"].shape == (2, 3)
