"""The loop stops anywhere and goes on as if it never had."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tokaudio.errors import CheckpointError
from tokaudio.training.loop import Cadence, Loop, Schedule


class Counter:
    """A trainable that adds up what it is given, so that every step leaves a trace."""

    def __init__(self) -> None:
        self.total = torch.zeros((), dtype=torch.float64)
        self.steps: list[tuple[int, float]] = []
        self.drawn: set[float] = set()

    def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
        drawn = torch.rand((), generator=generator, dtype=torch.float64)
        self.drawn.add(float(drawn))
        self.total += drawn * rate
        self.steps.append((step, rate))
        figures = {"loss": float(step)}
        return figures | ({"late": 10.0} if step >= 8 else {})

    def state(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state(self, state: dict[str, Any]) -> None:
        self.total = state["total"].clone()


SCHEDULE = Schedule(20, warmup=4, peak=1.0, final=0.1)


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_loop_takes_every_step_once_at_its_rate(tmp_path: Path):
    counter = Counter()
    assert Loop(tmp_path, counter, SCHEDULE).run(quiet=True) == 20
    assert counter.steps == [(step, SCHEDULE.rate(step)) for step in range(20)]
    assert len(counter.drawn) == 20, "every step draws numbers of its own"


@pytest.mark.parametrize("stops", [[10], [1, 1, 17], [0, 20], [19]])
def test_stopping_and_resuming_equals_running_through(tmp_path: Path, stops: list[int]):
    whole = Counter()
    Loop(tmp_path / "whole", whole, SCHEDULE).run(quiet=True)
    for stop in [*stops, 100]:
        part = Counter()
        loop = Loop(tmp_path / "parts", part, SCHEDULE)
        loop.resume()
        loop.run(stop_after=stop, quiet=True)
    assert loop.done == 20
    assert torch.equal(part.total, whole.total)


def test_another_seed_draws_other_numbers(tmp_path: Path):
    totals = []
    for seed in (0, 0, 1):
        counter = Counter()
        Loop(tmp_path / str(len(totals)), counter, SCHEDULE, seed=seed).run(quiet=True)
        totals.append(float(counter.total))
    assert totals[0] == totals[1] != totals[2]


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path):
    class Killed(Exception):
        pass

    class Mortal(Counter):
        def step(self, generator: torch.Generator, step: int, rate: float) -> dict[str, float]:
            if step == 13:
                raise Killed
            return super().step(generator, step, rate)

    whole = Counter()
    Loop(tmp_path / "whole", whole, SCHEDULE).run(quiet=True)
    loop = Loop(tmp_path / "killed", Mortal(), SCHEDULE, cadence=Cadence(save_seconds=-1))
    with pytest.raises(Killed):
        loop.run(quiet=True)
    again = Counter()
    loop = Loop(tmp_path / "killed", again, SCHEDULE)
    assert loop.resume() == 13
    loop.run(quiet=True)
    assert torch.equal(again.total, whole.total)


def test_a_checkpoint_that_could_not_be_finished_leaves_the_last_one(tmp_path: Path):
    loop = Loop(tmp_path, Counter(), SCHEDULE)
    loop.run(stop_after=5, quiet=True)

    class Unwritable(Counter):
        def state(self) -> dict[str, Any]:
            raise RuntimeError("disk on fire")

    later = Loop(tmp_path, Unwritable(), SCHEDULE)
    later.resume()
    with pytest.raises(RuntimeError, match="on fire"):
        later.run(stop_after=5, quiet=True)
    assert Loop(tmp_path, Counter(), SCHEDULE).resume() == 5


def test_figures_are_averaged_over_the_steps_that_have_them(tmp_path: Path):
    Loop(tmp_path, Counter(), SCHEDULE, cadence=Cadence(log_steps=10)).run(quiet=True)
    first, second = rows(tmp_path)
    assert (first["step"], first["loss"], first["late"]) == (10, 4.5, 10.0)
    assert (second["step"], second["loss"], second["late"]) == (20, 14.5, 10.0)
    assert first["rate"] == pytest.approx(SCHEDULE.rate(10), rel=1e-4) and first["seconds_per_step"] >= 0


def test_progress_is_shown_unless_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Loop(tmp_path, Counter(), SCHEDULE, cadence=Cadence(log_steps=10)).run()
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "20/20",
        "0",
        "min",
        "left",
        "loss",
        "14.5",
        "late",
        "10",
    ]
    Loop(tmp_path, Counter(), SCHEDULE, cadence=Cadence(log_steps=10)).run(quiet=True)
    assert capsys.readouterr().out == ""


def test_a_damaged_checkpoint_is_named(tmp_path: Path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors: cannot be read"):
        Loop(tmp_path, Counter(), SCHEDULE).resume()


def test_the_rate_rises_and_falls_by_half_a_cosine():
    rates = [SCHEDULE.rate(step) for step in range(21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0 and rates[12] == pytest.approx(0.55) and rates[20] == pytest.approx(0.1)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert SCHEDULE.rate(1000) == pytest.approx(0.1)
