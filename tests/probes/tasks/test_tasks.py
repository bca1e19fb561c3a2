"""Tasks on planted codes: what is there is found, what is not is at chance, leaks are refused, runs are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tokaudio.errors import UnknownNameError
from tokaudio.probes.chance import chance_band
from tokaudio.probes.data.planted import PlantedSource
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.results import ProbeResults, TaskResult, results_from_json
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks import TASKS, TaskOptions, find_task

FEW = TaskOptions(seeds=(0, 1), reference_seeds=1, permutations=2, corpus="planted")


ONE = TaskOptions(seeds=(0,), reference_seeds=1, permutations=0, corpus="planted")


def small() -> PlantedSource:
    """Return as little as a task can be run on."""
    return PlantedSource(words=2, speakers=6, takes=1)


def run(name: str, source: PlantedSource, options: TaskOptions = FEW, runner: Runner | None = None) -> TaskResult:
    """Run a task on planted codes."""
    return find_task(name).run(source, options, runner or Runner())  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "metric"), [("ks", "accuracy"), ("sid", "accuracy"), ("sv", "eer")])
def test_what_was_planted_is_found_and_references_stand_beside_it(name: str, metric: str) -> None:
    found = run(name, PlantedSource(clean=0.8))
    assert found.measure.metric == metric and found.missing_baselines == ()
    assert set(found.references) == {"continuous", "log_mel", "untrained_encoder", "random_tokens", "majority"}
    random, majority = found.references["random_tokens"].mean, found.references["majority"].mean
    if metric == "eer":
        assert found.measure.mean < 0.2 < random and majority == 0.5
        assert [other.metric for other in found.others] == ["min_dcf"]
    else:
        assert found.measure.mean > 0.8
        assert random < 0.45
        assert majority == pytest.approx(found.chance)
        assert len(found.shuffled) == len(found.shuffled_limits) == FEW.permutations
        assert all(score <= limit for score, limit in zip(found.shuffled, found.shuffled_limits, strict=True))
        assert found.measure.mean > max(found.shuffled_limits)
        assert found.selectivity > 0.2
    assert len(found.measure.groups) == found.sizes["test_speakers"]
    document = ProbeResults("planted", "hybrid", "12", "own", (found,))
    assert results_from_json(document.to_json()).to_json() == document.to_json()


def test_tokens_alone_are_as_many_runs_as_seeds_and_the_control_task() -> None:
    alone, runner = replace(ONE, seeds=(0, 1), reference_seeds=0), Runner()
    found = run("ks", small(), alone, runner)
    assert set(found.references) == {"majority"} and found.missing_baselines
    assert runner.done == find_task("ks").runs(alone) == 3
    assert (
        found.measure.values().tolist()
        == run("ks", small(), replace(alone, reference_seeds=1)).measure.values().tolist()
    )


def test_codes_without_anything_in_them_are_at_chance() -> None:
    found = run("ks", PlantedSource(clean=0.0, words=5), ONE)
    low, high = chance_band(0.2, found.sizes["test"])
    assert all(low <= score <= high for score in found.measure.values())


def test_speech_recognition_spells_sentences_of_others() -> None:
    source = PlantedSource(words=3, speakers=9, clean=1.0)
    texts = ["abc", "bca", "cab"]
    chosen = []
    for one in source.recordings:
        word = texts[ord(one.facts["keyword"]) - ord("a")]
        chosen.append(type(one)(one.path, one.name, {**one.facts, "text": word, "split": _side(one.facts["speaker"])}))
    source.recordings = chosen
    found = run("asr", source)
    assert found.measure.metric == "wer" and found.measure.mean < 0.2
    assert found.others[0].metric == "cer" and found.others[0].mean <= found.measure.mean
    assert found.references["majority"].mean == 1.0
    assert found.references["random_tokens"].mean > 0.5
    assert len(found.shuffled) == len(found.shuffled_limits) == FEW.permutations and not found.leaks
    assert found.measure.mean < min(found.shuffled_limits)
    assert find_task("asr").runs(FEW) == 2 * 2 + 3 + 2


def _side(speaker: str) -> str:
    return ("train", "train", "train", "train", "train", "valid", "valid", "test", "test")[int(speaker[-3:])]


def test_a_planted_leak_is_caught() -> None:
    with pytest.raises(ProbeError, match="is the same sound as 000-0-0, which is trained on"):
        run("ks", PlantedSource(leak=True))


def test_runs_are_kept_and_those_that_do_not_concern_the_tokenizer_are_shared(tmp_path: Path) -> None:
    first = Runner(cache=tmp_path)
    result = run("ks", small(), ONE, first)
    again = Runner(cache=tmp_path)
    assert run("ks", small(), ONE, again).measure.mean == result.measure.mean
    assert first.done == find_task("ks").runs(ONE) and (again.done, again.found) == (0, first.done)
    other = Runner(cache=tmp_path)
    source = small()
    source.tokenizer.fingerprint = "another"
    run("ks", source, ONE, other)
    assert (other.done, other.found) == (first.done - 1, 1)


def test_no_time_leaves_one_seed_of_everything_and_says_so() -> None:
    runner = Runner(minutes=0.0)
    runner.begin("ks", 3)
    found = run("ks", small(), runner=runner)
    assert found.measure.seeds == (0,) and found.missing_baselines == ()
    assert found.shuffled == () and found.selectivity is None
    assert found.notes == ("time allowed 1 of 2 seeds",)


def test_seeds_draw_other_speakers_to_validate_on_and_the_same_to_test_on() -> None:
    source, task = PlantedSource(), find_task("ks")
    splits = [task.split(source, range(len(source.recordings)), seed) for seed in (0, 1, 2)]  # type: ignore[attr-defined]
    assert splits[0].test == splits[1].test == splits[2].test
    assert len({tuple(split.valid) for split in splits}) > 1


def test_pairs_have_other_texts_and_both_kinds() -> None:
    found = run("sv", PlantedSource(words=3, speakers=6), ONE)
    pairs = found.measure.evidence
    assert pairs.same.any() and (~pairs.same).any()
    assert np.isfinite(pairs.scores).all()


def test_every_task_says_what_it_needs() -> None:
    for name in TASKS:
        task = find_task(name)
        assert task.name == name and task.title and task.needs
        with pytest.raises(ProbeError, match=f"{name}: none of 0 recordings can be used for it; give recordings with"):
            task.select([])
    with pytest.raises(UnknownNameError, match="no task is named 'nonsense'"):
        find_task("nonsense")


def test_a_class_that_is_only_tested_is_refused() -> None:
    source = PlantedSource()
    source.recordings[-1] = type(source.recordings[-1])(
        source.recordings[-1].path, "last", {**source.recordings[-1].facts, "keyword": "unheard"}
    )
    with pytest.raises(ProbeError, match="class 'unheard' is only tested"):
        run("ks", source)
