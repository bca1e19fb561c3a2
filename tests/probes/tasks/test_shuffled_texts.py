"""Transcripts without meaning: the order they are given, and what chance does beside them."""

from dataclasses import replace

import numpy as np

from tests.probes.resulting import task
from tokaudio.metrics.error_rates import edit_counts, error_rate
from tokaudio.probes.tasks.shuffled_texts import exchange_band, permuted_texts

TEXTS = ["red", "green", "blue", "white", "black", "grey", "orange", "pink", "yellow"]


def test_only_what_is_learnt_from_is_permuted_and_nothing_is_lost() -> None:
    given = [*TEXTS, "test one", "test two"]
    found = permuted_texts(given, range(9), (0, 3))
    assert found[9:] == given[9:] and sorted(found[:9]) == sorted(TEXTS) and found[:9] != TEXTS
    assert found == permuted_texts(given, range(9), (0, 3)) != permuted_texts(given, range(9), (0, 4))


def test_what_was_understood_lies_outside_the_band_and_what_was_not_within() -> None:
    texts = TEXTS * 3
    heard = [text[:2] for text in texts]
    for said, understood in ((heard, True), (heard[1:] + heard[:1], False), ([""] * len(texts), False)):
        low, high = exchange_band(texts, said, "character")
        rate = error_rate(edit_counts(texts, said, unit="character"))
        assert (rate < low) == understood and rate <= high, (said, rate, low, high)


def test_the_band_is_that_of_a_slow_twin() -> None:
    random = np.random.default_rng(0)
    texts = ["one two", "three", "four five six", "seven eight", "nine ten"]
    clips = [*texts, *texts[:2]]
    said = [" ".join(random.permutation([*text.split(), "ten"])) for text in clips]
    rates = []
    for _ in range(4000):
        new = dict(zip(texts, random.permutation(texts).tolist(), strict=True))
        rates.append(error_rate(edit_counts([new[text] for text in clips], said)))
    low, high = np.quantile(rates, [0.0005, 0.9995])
    assert np.allclose(exchange_band(clips, said), (low, high), atol=0.02)


def test_a_leak_is_a_shuffled_score_better_than_its_limit_whichever_way_the_metric_goes() -> None:
    for metric, better, worse in (("accuracy", 0.2, 0.1), ("wer", 0.8, 1.0)):
        found = replace(task(metric=metric), shuffled=(worse, better), shuffled_limits=(0.9, 0.9))
        limit = 0.15 if metric == "accuracy" else 0.9
        assert replace(found, shuffled_limits=(limit, limit)).leaks
        assert not replace(found, shuffled=(worse, worse), shuffled_limits=(limit, limit)).leaks
