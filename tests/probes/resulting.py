"""Results of probes as tests need them: planted scores, without probes and sound."""

from __future__ import annotations

import numpy as np

from tokaudio.probes.evidence import Measure, Pairs, Sums
from tokaudio.probes.results import BASELINES, Costs, ProbeResults, TaskResult

SPEAKERS = tuple(f"speaker {number}" for number in range(12))


def measure(share: float, *, metric: str = "accuracy", seeds: int = 5, seed: int = 0, spread: float = 0.3) -> Measure:
    """Return a metric of 12 speakers with 40 items each, whose true value is about `share`."""
    random = np.random.default_rng(seed)
    logit = np.log(share / (1 - share)) + spread * random.standard_normal((1, len(SPEAKERS), 1))
    items = np.full((seeds, len(SPEAKERS), 1), 40.0)
    return Measure(
        metric, tuple(range(seeds)), Sums(SPEAKERS, random.binomial(40, 1 / (1 + np.exp(-logit)), items.shape), items)
    )


def pairs(apart: float, *, seeds: int = 5, seed: int = 0, speakers: int = 12, each: int = 4) -> Measure:
    """Return an equal error rate over pairs of recordings, whose scores lie `apart` deviations apart."""
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), each)
    left, right = np.triu_indices(who.size, k=1)
    voices = 0.3 * random.standard_normal(speakers)
    base = np.where(who[left] == who[right], apart, 0.0) + voices[who[left]] + voices[who[right]]
    scores = base + random.standard_normal((seeds, left.size))
    return Measure("eer", tuple(range(seeds)), Pairs(SPEAKERS[:speakers], who[left], who[right], scores))


def task(
    name: str = "ks", share: float = 0.8, *, axis: str = "content", seed: int = 0, metric: str = "accuracy"
) -> TaskResult:
    """Return the result of one task with all its baselines."""
    worse = 0.9 if metric == "wer" else 0.1
    baselines = {one: measure(worse, metric=metric, seed=seed + 1) for one in BASELINES}
    best = {"continuous": measure(0.05 if metric == "wer" else 0.95, metric=metric, seed=seed + 2)}
    return TaskResult(
        task=name,
        axis=axis,
        corpus="voices",
        probe="linear",
        probe_version="1",
        measure=measure(share, metric=metric, seed=seed),
        references=baselines | best,
        shuffled=(0.11, 0.09, 0.1),
        chance=0.1,
        selectivity=0.4,
        sizes={"train": 400, "test": 480},
        data_hash="d" * 64,
        seconds=12.5,
    )


def results(
    name: str = "mini-codec", tasks: tuple[TaskResult, ...] | None = None, bitrate: float = 4000.0
) -> ProbeResults:
    """Return the results of one tokenizer."""
    return ProbeResults(
        tokenizer=name,
        kind="compression",
        fingerprint="ab" * 32,
        suite="quick",
        tasks=(task(),) if tasks is None else tasks,
        settings={"num_codebooks": 8},
        costs=Costs(1_200_000, 0.02, 0.03, 400_000_000, bitrate, 400.0),
        machine={"processor": "two cores", "cores": 2},
        versions={"tokaudio": "0.1", "torch": "2.13"},
        hashes={"weights": "ab" * 32},
        started="2026-11-23T20:00:00Z",
        seconds=90.0,
    )
