"""What codebooks add, where it is known: the toy decodes its own melodies without loss."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.analysis.tones import RATE, ToneTokenizer, melody, random_melody
from tokaudio.analysis.decoding.ablation import MEL_DISTANCE, AblationMeter, Metric, ablation
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import TokensError

SOUNDS = [(random_melody(seed), RATE) for seed in range(4)]
ERROR = Metric("error", lambda one, other, rate: float(np.mean((one - other) ** 2)), lower_is_better=True)
CLOSENESS = Metric("closeness", lambda one, other, rate: -float(np.mean((one - other) ** 2)))


def test_the_last_codebook_gains_all_that_was_missing() -> None:
    first, both = ablation(ToneTokenizer(), SOUNDS).prefixes
    name = MEL_DISTANCE.name
    assert (first.codebooks, first.gains, both.codebooks) == (1, {}, 2)
    assert both.scores[name].value == pytest.approx(0, abs=1e-5)
    assert first.scores[name].value > 0.1
    assert both.gains[name].value == pytest.approx(first.scores[name].value, abs=1e-5)


def test_better_is_positive_for_either_kind_of_metric() -> None:
    found = ablation(ToneTokenizer(), SOUNDS, metrics=[ERROR, CLOSENESS])
    gains = found.prefixes[1].gains
    assert gains["error"].value == pytest.approx(gains["closeness"].value) and gains["error"].value > 0.01
    for one in found.left_out:
        assert one.losses["error"].value == pytest.approx(one.losses["closeness"].value)
        assert one.losses["error"].value > 0.01
        assert one.scores["closeness"].value == pytest.approx(-one.scores["error"].value)


def test_a_codebook_that_says_nothing_loses_nothing() -> None:
    # One tone throughout: neither another order nor the mean changes it.
    found = ablation(ToneTokenizer(), [(melody([1] * 6, [0, 1, 2, 3, 2, 1]), RATE)], metrics=[ERROR])
    losses = {(one.codebook, one.way): one.losses["error"].value for one in found.left_out}
    assert losses[1, "shuffled"] == losses[1, "mean"] == 0.0
    assert losses[0, "shuffled"] > 0.01 and losses[0, "mean"] > 0.01
    assert np.isnan(found.attribution[1].shares).all()
    assert found.attribution[0].shares[1] + found.attribution[0].shares[2] > 0.9
    assert {level.value for level in found.attribution[1].levels} == {0.0}
    assert found.to_dict()["attribution"][1]["shares"][0] is None


def test_the_mean_is_a_score_of_its_own() -> None:
    # Levels 0 and 2 in equal parts have level 1 as their mean: of 1 and 1/4, to 1/2.
    found = ablation(ToneTokenizer(), [(melody([0, 0], [0, 2]), RATE)], metrics=[ERROR])
    [mean] = [one for one in found.left_out if (one.codebook, one.way) == (0, "mean")]
    assert mean.scores["error"].value == pytest.approx((0.5**2 + 0.25**2) / 2 / 2, rel=1e-3)


def test_what_changes_in_one_recording_does_not_hide_what_changes_in_another() -> None:
    low, high = (melody([tone] * 4, [0, 1, 2, 3]) for tone in (0, 3))
    shares = ablation(ToneTokenizer(), [(low, RATE), (high, RATE)], bands=[(0, 2_000), (2_000, 8_000)])
    assert all(0.3 < share < 0.7 for share in shares.attribution[0].shares)


def test_codebooks_that_share_a_space_are_flagged_and_others_not() -> None:
    codec = ToneTokenizer()
    assert [one.off_distribution for one in ablation(codec, SOUNDS[:1]).left_out] == [False] * 4
    first, _ = codec.codebooks()
    codec.codebooks = lambda: [first, first[:4]]  # type: ignore[method-assign]
    assert [one.off_distribution for one in ablation(codec, SOUNDS[:1]).left_out] == [True] * 4


def test_everything_is_there_and_is_json() -> None:
    found = ablation(ToneTokenizer(), SOUNDS, bands=[(0, 750), (750, 8_001)])
    assert [(one.codebook, one.way) for one in found.left_out] == [
        (0, "shuffled"),
        (0, "mean"),
        (1, "shuffled"),
        (1, "mean"),
    ]
    assert (found.recordings, found.seconds, found.bands) == (4, pytest.approx(4.8), ((0, 750), (750, 8_001)))
    assert all(sum(one.shares) == pytest.approx(1) for one in found.attribution)
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["prefixes"][1]["gains"]["mel distance"]["interval"][0] > 0
    assert again["left_out"][3]["off_distribution"] is False


def test_recordings_weigh_alike_and_samples_beyond_the_limit_do_not_count() -> None:
    meter = AblationMeter(ToneTokenizer(), metrics=[ERROR], max_seconds=0.5)
    scores = []
    for sound, _ in SOUNDS:
        meter.add(sound[None], RATE)
        scores.append(ablation(ToneTokenizer(), [(sound[:8_000], RATE)], metrics=[ERROR]).prefixes[0].scores["error"])
    meter.add(torch.zeros(0), RATE)
    found = meter.finish()
    assert found.recordings == 4 and found.seconds == pytest.approx(2.0)
    assert found.prefixes[0].scores["error"].value == pytest.approx(np.mean([score.value for score in scores]))


def test_without_a_decoder_there_is_no_ablation() -> None:
    codec = ToneTokenizer()
    codec.decodes = False
    with pytest.raises(TokensError, match="turns sound into tokens only"):
        AblationMeter(codec)


def test_misuse_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give at least one, each once"):
        AblationMeter(ToneTokenizer(), metrics=[ERROR, ERROR])
    with pytest.raises(AnalysisError, match="no recording was given"):
        AblationMeter(ToneTokenizer()).finish()
