"""Associations of codebooks and attributes, and the roles that follow."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.frames.associations import Association, associations, labels_of
from tokaudio.analysis.frames.sampling import FrameSample
from tokaudio.analysis.roles import Role, roles
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.analysis.statistics.information import evaluate
from tokaudio.errors import MissingDependencyError


def sample(recordings: int = 40) -> FrameSample:
    """Codebook 0 tells the phone half the time, codebook 1 which recording it is, codebook 2 is missing at times."""
    frames = FrameSample()
    for number in range(recordings):
        random = np.random.default_rng(number)
        phone = random.integers(0, 8, 200)
        codes = np.stack(
            [
                np.where(random.random(200) < 0.5, phone, random.integers(0, 8, 200)),
                np.full(200, number % 20),
                np.where(np.arange(200) < 100, -1, phone),
            ]
        )
        columns = {"phone": phone, "speaker": np.full(200, random.integers(3)), "pitch": phone * 1.5}
        columns["phone"] = np.where(np.arange(200) % 10 == 9, -1, phone)
        frames.add(codes, columns | {"language": np.zeros(200, dtype=int)})
    return frames


@pytest.fixture(scope="module")
def found() -> list[Association]:
    return associations(sample().finish())


def at(found: list[Association], codebook: int, attribute: str) -> Association:
    return next(one for one in found if (one.codebook, one.attribute) == (codebook, attribute))


def test_each_codebook_meets_each_attribute(found: list[Association]) -> None:
    pairs = [(one.codebook, one.attribute) for one in found]
    assert pairs == [(book, name) for book in range(3) for name in ("pitch", "phone", "speaker")]
    steps: list[tuple[int, int]] = []
    associations(sample(8).finish(), advance=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_a_known_share_is_within_its_interval(found: list[Association]) -> None:
    # Of 8 phones the right one has 1/2 + 1/16, each other 1/16.
    likely = np.array([9 / 16] + [1 / 16] * 7)
    share = (3 + float(likely @ np.log2(likely))) / 3
    one = at(found, 0, "phone")
    assert one.interval is not None and one.interval.share.low < share < one.interval.share.high
    assert one.score == pytest.approx(share, abs=0.03) and one.floor < 0.01
    assert one.information.frames == 40 * 180  # without those that have no label
    assert one.variance is None and at(found, 0, "pitch").variance == pytest.approx(0.25, abs=0.03)


def test_frames_without_a_code_are_left_out(found: list[Association]) -> None:
    one = at(found, 2, "phone")
    assert one.information.frames == 40 * 90 and one.score == pytest.approx(1.0, abs=0.01)


def test_codes_that_last_say_little_of_labels_that_last(found: list[Association]) -> None:
    """Which of 20 kinds a recording is of goes with its speaker by chance alone: two recordings of each kind."""
    one = at(found, 1, "speaker")
    assert one.information.pnmi > 0.4
    assert one.score < 0.35
    apart = evaluate(sample().finish().codes[1], sample().finish().columns["speaker"])
    assert apart.share > 2 * one.score  # what a floor of single frames would leave
    assert one.information.floor > apart.floor + 0.1


def test_attributes_that_say_nothing_are_left_out_by_name() -> None:
    kept, notes = labels_of({"word": np.array([-1, -1]), "energy": np.array([1.0, 1.0]), "pitch": np.array([1.0, 2.0])})
    assert list(kept) == ["pitch"]
    assert notes == ["word: no frame has one.", "energy: all frames have the same one."]
    frames = FrameSample()
    frames.add([[1, 2]], {"word": np.array([-1, -1])})
    with pytest.raises(AnalysisError, match="nothing is known about any frame"):
        associations(frames.finish())


def test_few_recordings_have_no_interval() -> None:
    frames = FrameSample()
    frames.add([[0, 1, 0]], {"phone": np.array([0, 1, 0])})
    one = associations(frames.finish())[0]
    assert one.interval is None and one.score == one.information.share


def test_roles_name_the_best_and_no_voicing_beside_its_pitch(found: list[Association]) -> None:
    told = roles(found)
    assert [role.codebook for role in told] == [0, 1, 2]
    assert told[0].attribute in ("phone", "pitch") and told[0].others
    frames = FrameSample()
    for number in range(30):
        octave = np.random.default_rng(number).uniform(6, 8, 100).astype(np.float32)
        octave[np.random.default_rng(-number % 97).random(100) < 0.4] = np.nan
        code = np.nan_to_num(np.round(octave * 16)).astype(int)
        voiced = np.isfinite(octave).astype(int)
        frames.add(np.stack([code, voiced]), {"pitch": octave, "voicing": voiced})
    fine, coarse = roles(associations(frames.finish()))
    assert fine.attribute == "pitch" and not fine.others  # voicing follows from it
    assert coarse.attribute == "voicing" and not coarse.others
    assert coarse.sentence() == "Codebook 1: voicing 1.00 (1.00 to 1.00)."


def small(found: list[Association]) -> Report:
    return Report(
        {"name": "toy", "codebook_sizes": (8, 20, 8)},
        {"seconds": 160.0},
        tuple(found),
        roles(found),
        {"usage": None},
        ("A note.",),
    )


def test_a_report_is_plain_json(found: list[Association]) -> None:
    document = json.loads(small(found).to_json())
    assert document["format"] == "tokaudio-report" and document["version"] == 1
    assert document["sections"] == {"usage": None} and document["notes"] == ["A note."]
    assert document["sentences"] == [role.sentence() for role in roles(found)]
    assert document["information"][1]["attribute"] == "phone"
    assert document["information"][1]["score"] == at(found, 0, "phone").score
    low, high = document["roles"][0]["interval"]
    assert low < document["roles"][0]["score"] < high
    assert small(found).at(0, "phone") is at(found, 0, "phone") and small(found).at(9, "phone") is None


def test_what_is_no_number_is_none_in_json() -> None:
    class Part:
        def to_dict(self) -> dict[str, object]:
            return {"a": float("nan"), "b": (1, float("inf")), "c": {2: 0.5}}

    report = Report({"codebook_sizes": ()}, {}, (), (Role(0, None),), {"part": Part()}, ())
    document = json.loads(report.to_json())
    assert document["sections"]["part"] == {"a": None, "b": [1, None], "c": {"2": 0.5}}
    assert document["roles"][0]["attribute"] is None and report.sentences() == [Role(0, None).sentence()]


def test_a_report_is_a_table(found: list[Association], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = small(found).rows()
    assert len(rows) == 9 and rows[1]["attribute"] == "phone" and rows[1]["low"] < rows[1]["score"] < rows[1]["high"]
    table = small(found).to_dataframe()
    assert list(table.columns) == list(rows[0]) and list(table["attribute"]) == [row["attribute"] for row in rows]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match=r"pandas: is not installed; run: pip install 'tokaudio\[viz\]'"):
        small(found).to_dataframe()
