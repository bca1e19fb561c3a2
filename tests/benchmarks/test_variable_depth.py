"""The parts of the variable-depth benchmark that decide figures."""

import math

import evaluation_sets
import numpy as np
import pytest
import variable_depth


def test_pauses_are_made_of_the_quiet_end_of_a_recording():
    loud, quiet = np.full(1_600, 0.1, np.float32), np.linspace(1e-5, 1e-4, 800, dtype=np.float32)
    tone = variable_depth.room_tone(np.concatenate([loud, quiet]))
    assert np.array_equal(tone, quiet)
    made = variable_depth.pause(tone, 2_500)
    assert len(made) == 2_500 and np.array_equal(made[:1_600], np.concatenate([quiet[::-1], quiet]))
    assert len(variable_depth.room_tone(loud)) == 160, "where nothing is quiet, the last piece"


def test_sentences_are_joined_in_order_with_pauses_between():
    clips = [evaluation_sets.Clip(str(n), "read", "a", np.full(1_600, 0.1 * n, np.float32)) for n in range(1, 6)]
    items = variable_depth.with_pauses(clips)
    assert len(items) == 2
    assert 4 * (1_600 + 4_800) <= len(items[0]) <= 4 * (1_600 + 19_200)
    assert items[0][0] == pytest.approx(0.1) and items[1][0] == pytest.approx(0.5)


def test_an_adaptive_code_pays_little_for_what_repeats():
    assert variable_depth.entropy_bits([[3]], 8) == pytest.approx(3.0)
    assert variable_depth.entropy_bits([[3] * 1_000], 8) < 40
    random = np.random.default_rng(0).integers(1, 9, 2_000).tolist()
    assert 3 * 2_000 < variable_depth.entropy_bits([random], 8) < 3.3 * 2_000
    twice = variable_depth.entropy_bits([[1, 2, 3]] * 2, 4)
    assert math.isclose(twice, 2 * variable_depth.entropy_bits([[1, 2, 3]], 4)), "every item starts anew"
