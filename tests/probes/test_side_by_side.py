"""Runs side by side: the same arrays as one after the other, errors that come through, nothing left behind."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.probes.tasks.test_tasks import FEW, small
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.side_by_side import side_by_side
from tokaudio.probes.tasks import find_task


def test_results_come_with_their_numbers_whatever_their_size() -> None:
    computes = [lambda number=number: np.full(number * 50_000, number) for number in range(5)]
    found = dict(side_by_side(computes, at_once=3))
    assert sorted(found) == list(range(5))
    assert all((array == number).all() and array.size == number * 50_000 for number, array in found.items())


def test_each_is_computed_in_a_process_of_its_own_and_none_is_left() -> None:
    own = {int(process) for _, process in side_by_side([lambda: np.array(os.getpid())] * 3, at_once=2)}
    assert len(own) == 3 and os.getpid() not in own
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _refuse() -> np.ndarray:
    raise ProbeError("a.wav: holds nothing; give another")


def _break() -> np.ndarray:
    raise ZeroDivisionError("in the run")


def _die() -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    return np.zeros(1)


@pytest.mark.parametrize(
    ("compute", "error", "says"),
    [
        (_refuse, ProbeError, "^a.wav: holds nothing; give another$"),
        (_break, RuntimeError, "ZeroDivisionError: in the run"),
        (_die, RuntimeError, "was killed"),
    ],
)
def test_errors_come_through(compute: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        list(side_by_side([compute, lambda: np.zeros(1)], at_once=2))  # type: ignore[list-item]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize("name", ["ks", "sv", "lm"])
def test_a_task_scores_the_same_with_any_number_of_jobs(name: str, tmp_path: Path) -> None:
    def evidence(runner: Runner) -> list[str]:
        found: TaskResult = find_task(name).run(small(), FEW, runner)  # type: ignore[arg-type]
        measures = [found.measure, *found.references.values()]
        return [repr(one.values()) for one in measures] + [repr(found.shuffled), repr(found.selectivity)]

    alone, both = Runner(), Runner(jobs=3, cache=tmp_path)
    assert evidence(alone) == evidence(both) and alone.done == both.done > 2
    again = Runner(jobs=3, cache=tmp_path)
    evidence(again)
    assert (again.done, again.found) == (0, both.done)


def test_time_that_is_up_leaves_out_what_can_be_left_out() -> None:
    found = find_task("ks").run(small(), FEW, Runner(minutes=0, jobs=2))  # type: ignore[arg-type]
    assert found.measure.seeds == (0,) and found.shuffled == () and found.selectivity is None
    assert "time allowed 1 of 2 seeds" in found.notes
