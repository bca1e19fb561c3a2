"""TextGrid, CTM and HTK files: what they say, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.annotated.label_files import (
    read_ctm,
    read_htk,
    read_label_file,
    read_textgrid,
    segments_of,
    tier_kind,
)
from tokaudio.analysis.statistics.contingency import AnalysisError

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "say ""yes"" 7"
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "tones"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.4
            mark = "H*"
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = "j"
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = "ɛ"
        intervals [3]:
            xmin = 0.75
            xmax = 1.5e0
            text = "s"
"""


def short(tiers: dict[str, list[tuple[float, float, str]]]) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "9", "<exists>", str(len(tiers))]
    for name, rows in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", "9", str(len(rows))]
        for start, end, text in rows:
            lines += [repr(start), repr(end), '"' + text.replace('"', '""') + '"']
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_textgrid_in_long_form_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(LONG, encoding=encoding)
    tiers = read_textgrid(path)
    assert list(tiers) == ["words", "phones"]
    assert tiers["words"].names == ('say "yes" 7',)
    assert tiers["phones"].names == ("j", "ɛ", "s")
    assert tiers["phones"].starts.tolist() == [0.0, 0.25, 0.75]
    assert tiers["phones"].names_at(np.array([0.3, 0.6, 0.8])) == ["ɛ", None, "s"]
    assert list(read_label_file(path)) == ["word", "phone"]
    assert list(read_label_file(path, tier="phone")) == ["phone"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 50), st.text(st.sampled_from('a "ö1<>!.é'), max_size=5)), min_size=1))
def test_the_short_form_says_the_same(parts: list[tuple[int, str]]) -> None:
    ends = np.cumsum([length for length, _ in parts]) / 100
    rows = [(float(e - length / 100), float(e), text) for e, (length, text) in zip(ends, parts, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.TextGrid")
        path.write_text(short({"phones": rows}), encoding="utf-8")
        if not any(text.strip() for _, _, text in rows):
            with pytest.raises(AnalysisError, match="no interval with a text"):
                read_textgrid(path)
            return
        found = read_textgrid(path)["phones"]
    assert found.names == tuple(text.strip() for _, _, text in rows if text.strip())
    wanted = [start for start, _, text in rows if text.strip()]
    assert np.allclose(found.starts, wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "is no TextGrid; save it in Praat"),
        (LONG.replace("TextGrid", "Pitch"), "is no TextGrid"),
        (LONG[:700], "is a damaged TextGrid"),
        (LONG.replace("xmax = 0.25", "xmax = 0.45"), "'j' and 'ɛ' overlap at 0.25 s"),
        (LONG.replace("xmin = 0.75", "xmin = 1.75"), "'s' lasts from 1.75 to 1.5 s"),
        (short({"phones": [(0.0, 1.0, " ")]}), "holds no interval with a text"),
    ],
)
def test_damaged_textgrids_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    with pytest.raises(AnalysisError, match=rf"a\.TextGrid: {message}"):
        read_textgrid(path)


def test_tiers_go_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    rows = [(0.0, 1.0, "a")]
    path.write_text(short({"ann - phones": rows, "ann - words": rows, "notes": rows}))
    assert set(read_label_file(path)) == {"phone", "word"}
    path.write_text(short({"ann - phones": rows, "bob - phones": rows}))
    with pytest.raises(AnalysisError, match="several tiers of phones"):
        read_label_file(path)
    path.write_text(short({"sounds": rows}))
    assert set(read_label_file(path, tier="phone")) == {"phone"}
    with pytest.raises(AnalysisError, match="has only tiers 'sounds'; name a tier phones or words"):
        read_label_file(path)
    assert [tier_kind(name) for name in ("PHN", "Segments", "wrd", "phonetics")] == ["phone", "phone", "word", None]


def test_a_ctm_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dev.phones.ctm"
    path.write_text(";; made by hand\nb 1 0.5 0.25 uh 0.9\na A 0.0 0.1 yes\n\nb 1 0.1 0.4 oh 0.8 lex\n")
    found = read_ctm(path)
    assert found["b"].names == ("oh", "uh") and found["b"].ends.tolist() == [0.5, 0.75]
    assert found["a"].end == pytest.approx(0.1)
    assert read_label_file(path, recording="a")["phone"].names == ("yes",)
    assert read_label_file(path, recording="c") == {}
    for text, message in (
        ("a 1 0.0 yes\n", "line 1 is 'a 1 0.0 yes'; a line is RECORDING"),
        (";;\n", "holds no label"),
        ("a 1 0 1 x\na 2 0.5 1 y\n", "'x' and 'y' overlap at 0.5 s"),
        ("a 1 nan 1 x\n", "'x' lasts from nan"),
    ):
        path.write_text(text)
        with pytest.raises(AnalysisError, match=message):
            read_ctm(path)


def test_both_forms_of_lab_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_text("0 3000000 sil\n3000000 4500000 a\n")
    assert read_label_file(path)["phone"].ends.tolist() == pytest.approx([0.3, 0.45])
    path.write_text("#\n0.3 125 sil\n0.45 125 a\n")
    assert read_label_file(path, tier="word")["word"].ends.tolist() == pytest.approx([0.3, 0.45])
    path.write_text("0 3000000 sil\n0.3 0.45 a\n")
    with pytest.raises(AnalysisError, match=r"line 2 is '0\.3 0\.45 a'; a line is START END NAME"):
        read_htk(path)


def test_segments_touch_but_do_not_overlap() -> None:
    rounded = segments_of([(0.0, 0.5001, "a"), (0.5, 1.0, "b")], "a")
    assert rounded.ends.tolist() == [0.5, 1.0]
    for rows, message in (
        ([(0.0, 0.6, "a"), (0.5, 1.0, "b")], "overlap"),
        ([(0.5, 0.5, "a")], "'a' lasts from 0.5 to 0.5 s"),
        ([(-0.5, 0.5, "a")], "lasts from -0.5"),
        ([(0.0, np.inf, "a")], "lasts from 0 to inf"),
        ([], "holds no label"),
    ):
        with pytest.raises(AnalysisError, match=message):
            segments_of(rows, "a")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_ctm(tmp_path / "none.ctm")
    (tmp_path / "a.ctm").write_bytes(b"a 1 0 1 \xe9\n")
    with pytest.raises(AnalysisError, match="not UTF-8"):
        read_ctm(tmp_path / "a.ctm")
    with pytest.raises(AnalysisError, match="is no label file"):
        read_label_file(tmp_path / "a.txt")
