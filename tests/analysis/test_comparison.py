"""Tokenizers side by side: equal bitrates, names, and the page."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.pages.test_report_page import Whole
from tests.analysis.reported import HOSTILE, full_report
from tests.analysis.support import write_corpus
from tokaudio import Tokenizer
from tokaudio.analysis.codes.token_association import token_association
from tokaudio.analysis.comparing import compare
from tokaudio.analysis.comparison import Comparison
from tokaudio.analysis.frames import associations
from tokaudio.analysis.frames.incremental import IncrementalInformation
from tokaudio.analysis.pages.comparison_page import comparison_page
from tokaudio.analysis.sections import Rows
from tokaudio.analysis.statistics.contingency import AnalysisError


def increments(attribute: str, *bits: float) -> IncrementalInformation:
    return IncrementalInformation(attribute=attribute, entropy=1.0, bits=bits, frames=100)


def comparison() -> Comparison:
    """Two tokenizers, of 150 and 280 bit/s with one codebook."""
    parts = dict(full_report().sections)
    one = dataclasses.replace(full_report(), sections=parts | {"incremental": Rows((increments("speaker", 0.5, 0.6),))})
    rows = Rows((increments("speaker", 0.3, 0.7), increments(HOSTILE, 0.1, 0.2)))
    other = dataclasses.replace(full_report(), sections=parts | {"incremental": rows})
    link = token_association([0, 1] * 50, [1, 0] * 50, first=(HOSTILE, 0), second=("other", 0))
    return Comparison((one, other), (HOSTILE, "other"), ((150.0, 279.0), (280.0, 500.0)), (link,), (HOSTILE,))


def test_each_has_the_codebooks_that_fit() -> None:
    found = dataclasses.replace(comparison(), bitrates=((150.0, 300.0), (280.0, 500.0)))
    limit, rows = found.at_equal_bitrate()
    assert limit == 300.0 and [row["attribute"] for row in rows] == ["speaker", HOSTILE]
    assert rows[0]["tokenizers"] == [
        {"codebooks": 2, "bitrate_bps": 300.0, "share": 0.6},
        {"codebooks": 1, "bitrate_bps": 280.0, "share": 0.3},
    ]
    assert rows[1]["tokenizers"][0] is None
    assert (
        f"Speaker, at 0.30 kbit/s or less: {HOSTILE} 0.60 (0.30 kbit/s), other 0.30 (0.28 kbit/s)." in found.sentences()
    )
    # Where not even one codebook fits, there is no figure.
    assert comparison().at_equal_bitrate()[1][0]["tokenizers"][1] is None


def test_the_page_has_everything_and_names_stay_names() -> None:
    page = comparison().to_html()
    outline = Whole(page)
    for title in ("Rates and usage", "equal bitrate", "Robustness", "What each codebook says", "code by code"):
        assert title in outline.text
    assert outline.text.count(HOSTILE) >= 10 and HOSTILE not in page and "img" not in outline.seen
    assert outline.seen.count("script") == 1
    for sentence in comparison().sentences():
        assert sentence in outline.text
    assert "100\u00a0%" in outline.text


def test_too_little_audio_is_said_of_each_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert comparison().warnings() == []
    monkeypatch.setattr(associations, "MOST_FLOOR", -1.0)
    found = comparison()
    assert [warning.split(": Too little audio: ")[0] for warning in found.warnings()] == [HOSTILE, "other"]
    assert json.loads(found.to_json())["warnings"] == found.warnings()
    text = Whole(found.to_html()).text
    assert all(warning in text for warning in found.warnings())


def test_sections_may_be_missing() -> None:
    document = json.loads(comparison().to_json())
    for one in document["reports"]:
        one["sections"] = dict.fromkeys(one["sections"])
    bare: dict[str, Any] = document | {"equal_bitrate": {"bitrate_bps": 1.0, "attributes": []}, "associations": []}
    text = Whole(comparison_page(bare)).text
    assert "Robustness\n" not in text and "other: robustness was not measured." in text


def test_other_documents_are_refused() -> None:
    with pytest.raises(AnalysisError, match="is no comparison"):
        comparison_page(full_report().to_dict())
    with pytest.raises(AnalysisError, match="1 tokenizers; give two or more"):
        compare([Tokenizer.from_pretrained("mini-semantic")], [])


def test_a_tokenizer_beside_itself_tells_all(tmp_path: Path) -> None:
    write_corpus(tmp_path, recordings=8, segments=8)
    one = Tokenizer.from_pretrained("mini-semantic")
    found = compare([one, one], tmp_path / "all.csv", intervention_seconds=0)
    assert found.names == ("mini-semantic (1)", "mini-semantic (2)")
    assert [(link.first[1], link.second[1]) for link in found.associations] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    same = found.associations[0]
    assert same.told_of_first == same.told_of_second == pytest.approx(1.0, abs=0.05)
    assert found.bitrates[0] == pytest.approx((448.289, 896.578), abs=1e-3)  # of 500 codes
    assert json.loads(found.to_json())["format"] == "tokaudio-comparison"
    assert found.notes == ()
