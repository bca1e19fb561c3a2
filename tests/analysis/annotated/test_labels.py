"""Label files and labels of frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.annotated.labels import Segments, Vocabulary, find_labs, frame_centres, read_lab
from tokaudio.analysis.statistics.contingency import AnalysisError

FILE = "separator ;\nnfields 1\n#\n 0.51200 125 pau\n\n    0.602  125 e ; stressed\n0.76200 125 gg\n"


def test_a_festvox_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_text(FILE)
    segments = read_lab(path)
    assert segments.names == ("pau", "e", "gg")
    assert segments.starts.tolist() == [0.0, 0.512, 0.602] and segments.ends.tolist() == [0.512, 0.602, 0.762]
    assert segments.end == 0.762


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(0, 60))
def test_a_frame_has_the_label_of_its_centre(lengths: list[int], frames: int) -> None:
    """Against a loop over all segments, at borders that never meet a centre (7 ms and 20 ms have none in common)."""
    ends = 0.007 * np.cumsum(lengths)
    starts = np.concatenate([[0.0], ends[:-1]])
    names = tuple(f"n{i}" for i in range(len(ends)))
    centres = frame_centres(frames, Fraction(50)) + 0.0005
    slow = [
        next((name for start, end, name in zip(starts, ends, names, strict=True) if start <= at < end), None)
        for at in centres
    ]
    assert Segments(starts, ends, names).names_at(centres) == slow


def test_gaps_have_no_label() -> None:
    segments = Segments(np.array([0.1, 0.5]), np.array([0.3, 0.6]), ("a", "b"))
    assert segments.names_at(np.array([0.0, 0.1, 0.29, 0.3, 0.45, 0.5, 0.6])) == [None, "a", "a", None, None, "b", None]


def test_numbers_go_on_over_files() -> None:
    phones = Vocabulary()
    assert phones.numbers(["a", "b", "a"]).tolist() == [0, 1, 0]
    assert phones.numbers(["c", None, "b"]).tolist() == [2, -1, 1]
    assert phones.names == ["a", "b", "c"] and phones.numbers([]).dtype == np.int64


def test_labels_of_other_audio_are_refused() -> None:
    segments = Segments(np.array([0.0]), np.array([2.0]), ("a",))
    segments.check(2.2, "a.lab")
    with pytest.raises(AnalysisError, match=r"^a\.lab: its labels end at 2\.00 s and the audio at 9\.10 s; give"):
        segments.check(9.1, "a.lab")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5 125 a\n", "has no line '#'"),
        ("#\n", "holds no label"),
        ("#\n0.5 a\n", "line 2 is '0.5 a'; a line is END COLOUR NAME"),
        ("#\nx 125 a\n", "line 2 is"),
        ("#\n0.5 125 a\n0.4 125 b\n", "line 3 ends at 0.4 s; times must ascend"),
        ("#\nnan 125 a\n", "line 2 ends at nan s"),
        ("#\ninf 125 a\n", "line 2 ends at inf s"),
    ],
)
def test_damaged_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_text(text)
    with pytest.raises(AnalysisError, match=message):
        read_lab(path)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_lab(tmp_path / "none.lab")
    (tmp_path / "a.lab").write_bytes(b"#\n\xff\xfe")
    with pytest.raises(AnalysisError, match="not UTF-8"):
        read_lab(tmp_path / "a.lab")


def test_label_files_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for name in ("b.lab", "x/a.lab", "c.txt"):
        (tmp_path / name).touch()
    assert find_labs(tmp_path) == {"a": tmp_path / "x/a.lab", "b": tmp_path / "b.lab"}
    (tmp_path / "a.lab").touch()
    with pytest.raises(AnalysisError, match="has the same name as"):
        find_labs(tmp_path)
    with pytest.raises(AnalysisError, match=r"holds no \.lab file"):
        find_labs(tmp_path / "none")
