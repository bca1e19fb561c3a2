"""A model that is no better than its floor says so, whichever way its metric goes."""

from __future__ import annotations

import pytest

from tests.probes.resulting import measure
from tokaudio.probes.tasks.generating import not_learnt


@pytest.mark.parametrize(
    ("metric", "score", "floors", "said"),
    [
        ("mel_distance", 0.2, {"input": 0.5, "input_tokens": 0.6}, None),
        ("mel_distance", 0.52, {"input": 0.5, "input_tokens": 0.6}, "input:"),
        ("mel_distance", 0.5, {"input": 0.7, "input_tokens": 0.3}, "input tokens:"),
        ("mel_distance", 0.5, {"input": 0.5}, "input:"),
        ("wer", 0.4, {"shuffled_texts": 0.9, "recording": 0.1}, None),
        ("wer", 0.9, {"shuffled_texts": 0.9, "recording": 0.1}, "shuffled texts:"),
        ("accuracy", 0.9, {"input": 0.5}, None),
        ("accuracy", 0.4, {"input": 0.5}, "input:"),
        ("mel_distance", 0.5, {"clean_tokens": 0.1}, None),
    ],
)
def test_what_is_no_better_than_the_best_floor(
    metric: str, score: float, floors: dict[str, float], said: str | None
) -> None:
    references = {name: measure(value, metric=metric, seeds=1) for name, value in floors.items()}
    found = not_learnt(measure(score, metric=metric, seeds=2), references)
    assert len(found) == (said is not None)
    assert said is None or found[0].startswith(f"not learnt: no better than {said}")
