"""What the pages on statistics, ranking and data show runs as it stands there, and says what they say it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.running import run_page
from tests.probes.datasets.miniatures import MINIATURES
from tokaudio.probes.published import PARTS, dasb_v1
from tokaudio.probes.ranking import mean_ranks

PAGES = Path(__file__).parents[2] / "docs" / "probes"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("statistics.md", "0.819, 95 % from 0.69"),
        ("ranking.md", "a is ahead on content, c on speaker"),
        ("datasets.md", "librispeech        LibriSpeech        speech recognition"),
    ],
)
def test_the_code_of_the_pages_runs(page: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_page(f"docs/probes/{page}")
    assert said in capsys.readouterr().out


def test_the_page_lists_every_corpus() -> None:
    rows = re.findall(r"^\| `([\w-]+)` +\|", (PAGES / "datasets.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    columns = {"speaker", "split", "fold", "path"}
    assert set(MINIATURES) == set(rows) - columns


def test_the_table_of_dasb_is_what_is_computed() -> None:
    table = re.findall(
        r"^\| ([A-Z][\w ]+?) +\| (.+?) +\| (.+?) +\| (.+?) +\|$",
        (PAGES / "ranking.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert {name for name, *_ in table} == set(dasb_v1().tokenizers)
    wrong = {(one.tokenizer, one.part) for one in dasb_v1().contradictions()}
    for name, *cells in table:
        for place, (part, cell) in enumerate(zip(PARTS, cells, strict=True)):
            ends = [mean_ranks(dasb_v1().columns("medium", part), ties=ties)[name] for ties in ("min", "max")]
            figures = [float(one) for one in re.findall(r"\d\.\d\d", cell)]
            assert figures[0] == dasb_v1().ranking[name][place]
            assert figures[1] == pytest.approx(ends[0], abs=0.0051)
            assert figures[-1] == pytest.approx(ends[1], abs=0.0051)
            assert ("**" in cell) == ((name, part) in wrong)
