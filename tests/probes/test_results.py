"""Files of results: written, read again, and refused where they are not what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.probes.resulting import measure, pairs, results, task
from tokaudio.errors import OutputError
from tokaudio.metrics.verification import eer
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import METRICS, Measure, Pairs, Sums
from tokaudio.probes.records import to_plain
from tokaudio.probes.results import (
    BASELINES,
    FORMAT,
    ProbeResults,
    TaskResult,
    read_results,
    results_from_json,
    write_results,
)


def test_a_file_holds_everything(tmp_path: Path) -> None:
    verification = TaskResult("sv", "speaker", "voices", "linear", "1", pairs(2.0))
    written = results(tasks=(task(), verification))
    write_results(written, tmp_path / "a.json")
    found = read_results(tmp_path / "a.json")
    assert found.to_json() == written.to_json()
    assert found.task("sv").measure.mean == verification.measure.mean
    assert found.costs == written.costs and found.task("ks").references.keys() == {*BASELINES, "continuous"}
    with pytest.raises(OutputError, match="exists already"):
        write_results(written, tmp_path / "a.json")


def test_scores_follow_from_sums() -> None:
    # Two classes of which ann has one alone: the mean over classes of the ratio over speakers.
    found = Sums(("ann", "ben"), [[[3, 0], [1, 4]]], [[[4, 0], [4, 5]]])
    assert found.values().tolist() == [pytest.approx((4 / 8 + 4 / 5) / 2)]
    assert Measure("wer", (7,), Sums(("a",), [[[3]]], [[[2]]])).mean == 1.5


def test_scores_of_pairs_leave_out_what_a_run_did_not_score() -> None:
    one = pairs(1.0, seeds=2)
    assert isinstance(one.evidence, Pairs)
    scores, same = one.evidence.scores.copy(), one.evidence.same
    scores[1, 10:] = np.nan
    found = Measure("eer", (0, 1), Pairs(one.groups, one.evidence.left, one.evidence.right, scores)).values()
    assert found[0] == one.values()[0]
    assert found[1] == eer(scores[1, :10][same[:10]], scores[1, :10][~same[:10]])


@pytest.mark.parametrize(
    ("above", "below", "said"),
    [
        ([[3]], [[4]], r"sums \[1, 1\] over \[1, 1\]"),
        ([[[3], [1]]], [[[4], [1]]], "of 1 groups"),
        ([[[3]]], [[[-4]]], "negative"),
        ([[[np.nan]]], [[[4]]], "not finite"),
        ([[[0]]], [[[0]]], "no test items"),
    ],
)
def test_sums_that_are_none_are_refused(above: Any, below: Any, said: str) -> None:
    with pytest.raises(ProbeError, match=said):
        Sums(("ann",), above, below)


def test_groups_have_names_of_their_own() -> None:
    with pytest.raises(ProbeError, match="same name"):
        Sums(("ann", "ann"), [[[1], [1]]], [[[1], [1]]])


@pytest.mark.parametrize(
    ("right", "scores", "said"),
    [
        ([0, 2], [[1, 1]], "none of the 2"),
        ([0, 0], [[1, 1]], "of the same speaker or of different"),
        ([0, 1], [[1, np.nan]], "of the same speaker or of different"),
        ([0, 1], [1, 1], "give"),
    ],
)
def test_pairs_that_are_none_are_refused(right: list[int], scores: Any, said: str) -> None:
    with pytest.raises(ProbeError, match=said):
        Pairs(("ann", "ben"), [0, 0], right, scores)


def test_a_metric_goes_with_its_evidence() -> None:
    sums = Sums(("a",), [[[1]]], [[[2]]])
    with pytest.raises(ProbeError, match="give one of accuracy"):
        Measure("wonder", (0,), sums)
    with pytest.raises(ProbeError, match="eer does not follow from Sums"):
        Measure("eer", (0,), sums)
    with pytest.raises(ProbeError, match="1 runs have 2 seeds"):
        Measure("accuracy", (0, 1), sums)
    assert Measure("accuracy", (0,), sums).about is METRICS["accuracy"]


def test_a_task_is_one_of_its_kind() -> None:
    with pytest.raises(ProbeError, match="give one of content"):
        task(axis="taste")
    with pytest.raises(ProbeError, match="log_mel of ks is wer; give accuracy"):
        TaskResult("ks", "content", "v", "p", "1", measure(0.5), references={"log_mel": measure(0.5, metric="wer")})
    with pytest.raises(ProbeError, match="hold a task twice"):
        results(tasks=(task(), task()))
    with pytest.raises(ProbeError, match="has no task 'asr'; it has ks"):
        results().task("asr")
    bare = TaskResult("ks", "content", "v", "p", "1", measure(0.5))
    assert bare.missing_baselines == BASELINES and task().missing_baselines == ()
    assert TaskResult("tts", "generative", "v", "p", "1", measure(0.5, metric="wer")).missing_baselines == ()


def changed(**fields: Any) -> str:
    return json.dumps(json.loads(results().to_json()) | fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "a.json: is no JSON"),
        ("[]", "a.json: holds no results"),
        (changed(format="x"), "a.json: holds no results"),
        (changed(version=3), "a.json: is of version 3, and this tokaudio reads 1 to 2"),
        (changed(arrays=[{"type": "int8"}]), "a.json: array 0 is damaged; probe again"),
        (changed(arrays=[]), "a.json: there is no array 0; probe again"),
        (changed(tokenizer=None), "a.json: tokenizer is None; give text"),
        (changed(wonder=1), "a.json: wonder is no known field"),
        (changed(costs={"parameters": 1.5}), "a.json: costs.parameters is 1.5; give a whole number"),
        (changed(tasks=[{}]), r"a.json: tasks[0].task is missing"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(ProbeError) as refused:
        read_results(tmp_path / "a.json")
    assert said in str(refused.value)


def test_what_version_1_wrote_is_read() -> None:
    written = results(tasks=(task(), TaskResult("sv", "speaker", "voices", "linear", "1", pairs(2.0))))
    old = {"format": FORMAT, "version": 1} | to_plain(written)
    assert results_from_json(json.dumps(old)).to_json() == written.to_json()


def test_a_file_of_many_pairs_is_small() -> None:
    wide = pairs(2.0, speakers=12, each=5)
    scored = Measure("eer", wide.seeds, replace(wide.evidence, scores=wide.evidence.scores.round(3)))
    costs = replace(scored, metric="min_dcf")
    many = TaskResult("sv", "speaker", "voices", "linear", "1", scored, others=(costs,), references={"again": scored})
    text = results(tasks=(many,)).to_json()
    numbers = scored.evidence.scores.size
    assert numbers > 8000 and len(text) < 3 * numbers, "more than three letters for each number, all metrics together"
    found = results_from_json(text).task("sv")
    assert np.array_equal(found.measure.evidence.scores, scored.evidence.scores)
    assert found.others[0].values().tolist() == costs.values().tolist()


def test_values_that_do_not_go_together_are_refused_with_the_file() -> None:
    document = json.loads(results().to_json())
    document["tasks"][0]["measure"]["seeds"] = [1]
    with pytest.raises(ProbeError, match=r"^b\.json: 5 runs have 1 seeds"):
        results_from_json(json.dumps(document), "b.json")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"cannot be read \(No such file"):
        read_results(tmp_path / "none.json")


def test_empty_results_are_results() -> None:
    empty = ProbeResults("a", "semantic", "", "quick", ())
    assert results_from_json(empty.to_json()) == empty
