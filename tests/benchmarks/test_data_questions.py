"""The scripts behind the pages "Which data?" and "Can tokens be universal?": what decides their figures."""

from __future__ import annotations

import doctest

import kmeans_data
import numpy as np
import pytest
import sound_kinds
import torch
import universal
import universal_training
from sound_kinds import Sound


@pytest.mark.parametrize("module", [kmeans_data, sound_kinds, universal, universal_training])
def test_examples(module: object):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_sources_take_turns_until_all_are_through():
    assert list(kmeans_data._in_turn([iter("abc"), iter("xy"), iter("")])) == ["a", "x", "b", "y", "c"]


def test_units_of_phones_tell_more_than_units_of_anything():
    labels = [np.random.default_rng(seed).integers(0, 5, 200) for seed in range(12)]
    phones = object.__new__(kmeans_data.Phones)
    phones.rows = [torch.from_numpy(one)[:, None].float() for one in labels]
    phones.labels = labels
    own = phones.share(lambda rows: rows[:, 0].long().numpy())
    random = np.random.default_rng(0)
    other = phones.share(lambda rows: random.integers(0, 5, len(rows)))
    assert own.value == pytest.approx(1.0, abs=0.01) and other.high < 0.1


def test_a_probe_reads_groups_it_has_not_learnt_from():
    random = np.random.default_rng(0)
    sounds = [Sound(torch.zeros(1), "ab"[number % 2], f"song {number // 20}") for number in range(80)]
    marks = [sound.source for sound in sounds]
    told = np.array([[float(sound.label == "a")] for sound in sounds]) + 0.1 * random.standard_normal((80, 3))
    assert universal.in_turn(sounds, marks, told).all()
    # What says only which song it is says nothing of a song that was left out.
    songs = np.array([[float(mark[-1])] for mark in marks]) + 0.1 * random.standard_normal((80, 3))
    assert 0.25 < universal.in_turn(sounds, marks, songs).mean() < 0.75


def test_too_short_and_silent_sounds_are_left_out():
    second = torch.ones(sound_kinds.RATE)
    assert [sound_kinds._fits(one) for one in (2 * second, second.repeat(2), 0 * second.repeat(2))] == [
        False,
        True,
        False,
    ]
    assert (
        sound_kinds._heard(second) and not sound_kinds._heard(second[:1000]) and not sound_kinds._heard(1e-4 * second)
    )


def test_a_step_teaches_and_the_seed_decides(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(universal_training, "CROP", 3_200)
    noise = [0.1 * torch.randn(4_000, generator=torch.Generator().manual_seed(0))]
    one, same, other = (universal_training.trained([noise], 1, seed).fingerprint for seed in (0, 0, 1))
    assert one == same != other
