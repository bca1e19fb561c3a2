"""Splits whose sides have nothing in common, and planted leaks that are found."""

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.audio import read_audio
from tokaudio.probes.data.fingerprints import fingerprint_of, near_duplicates
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.data.splits import official_split, require_disjoint, split_by
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.classifying import Split

NOTHING = np.zeros(0, dtype=np.uint32)


@given(st.lists(st.sampled_from("abcdefghij"), min_size=12, max_size=60), st.integers(0, 20))
def test_sides_share_no_group_and_hold_every_clip_once(groups: list[str], seed: int) -> None:
    if len(set(groups)) < 4:
        return
    split = split_by(groups, seed=seed)
    assert sorted([*split.train, *split.valid, *split.test]) == list(range(len(groups)))
    owners = [{groups[number] for number in side} for side in split]
    assert all(owners)
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
    assert split.test == split_by(groups, seed=seed + 1).test
    assert split_by(groups, seed=seed) == split


def test_the_test_set_is_the_one_that_is_named() -> None:
    groups = ["a", "a", "b", "b", "c", "c"]
    assert split_by(groups, seed=0, test=lambda number: groups[number] == "b").test == [2, 3]


@pytest.mark.parametrize("groups", [[], ["a"], ["a", "b"], ["a"] * 9])
def test_too_few_groups_are_refused(groups: list[str]) -> None:
    with pytest.raises(ProbeError, match="to test on; give 3 or more"):
        split_by(groups, seed=0)


def test_official_splits_are_taken_as_they_are() -> None:
    assert official_split(["train", "validation", "eval"]) == Split([0], [1], [2])
    assert official_split([]) is None
    assert official_split(["train", None, "test"]) is None
    with pytest.raises(ProbeError, match="split 'other' is unknown"):
        official_split(["train", "other"])
    with pytest.raises(ProbeError, match="no recording is in split 'valid'"):
        official_split(["train", "test"])


def test_a_shared_group_and_a_shared_sound_are_refused() -> None:
    split = Split([0], [1], [2])
    require_disjoint(split, ["a", "b", "c"], ["x", "y", "z"], [NOTHING] * 3, ["1", "2", "3"])
    with pytest.raises(ProbeError, match="3: its group 'b' is also trained on"):
        require_disjoint(split, ["a", "b", "b"], ["x", "y", "z"], [NOTHING] * 3, ["1", "2", "3"])
    with pytest.raises(ProbeError, match="3: is the same sound as 1, which is trained on"):
        require_disjoint(split, ["a", "b", "c"], ["x", "y", "x"], [NOTHING] * 3, ["1", "2", "3"])


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Some sentences that ship, of different speakers, at 24 kHz."""
    chosen = [one for one in read_data("quick") if "intent" in one.facts][::60]
    return [read_audio(one.path)[0].numpy() for one in chosen]


def _changes() -> dict[str, object]:
    random = np.random.default_rng(0)
    return {
        "louder": lambda wave: 1.7 * wave,
        "cut": lambda wave: wave[:, 3333:-2000],
        "noisy": lambda wave: wave + random.normal(0, wave.std() / 30, wave.shape),
        "coarse": lambda wave: np.rint(wave * 512) / 512,
    }


@pytest.mark.parametrize("change", sorted(_changes()))
def test_a_planted_copy_is_found_whatever_was_done_to_it(clips: list[np.ndarray], change: str) -> None:
    prints = [fingerprint_of(wave, 24_000) for wave in clips]
    count = len(prints)
    copies = [fingerprint_of(_changes()[change](wave), 24_000) for wave in clips]
    found = near_duplicates(prints + copies, range(count), range(count, 2 * count))
    assert [(one.train, one.test) for one in found] == [(number, number + count) for number in range(count)]
    names = [str(number) for number in range(2 * count)]
    with pytest.raises(ProbeError, match=r"is nearly the same sound as 0, which is trained on, for \d"):
        require_disjoint(Split(range(count), [0], range(count, 2 * count)), names, names, prints + copies, names)


def test_a_copy_at_another_rate_is_found_and_other_recordings_are_not(clips: list[np.ndarray]) -> None:
    prints = [fingerprint_of(wave, 24_000) for wave in clips]
    copy = fingerprint_of(soxr.resample(clips[2][0], 24_000, 16_000)[None], 16_000)
    count = len(prints)
    assert [one.train for one in near_duplicates([*prints, copy], range(count), [count])] == [2]
    assert near_duplicates(prints, range(0, count, 2), range(1, count, 2)) == []


def test_words_of_one_voice_are_no_copies_and_their_copies_are() -> None:
    said = [one for one in read_data("quick") if one.speaker == "am_eric" and "keyword" in one.facts]
    waves = [read_audio(one.path)[0].numpy() for one in said]
    prints = [fingerprint_of(wave, 24_000) for wave in waves]
    words = sorted({one.facts["keyword"] for one in said})
    sides = [[n for n, one in enumerate(said) if (words.index(one.facts["keyword"]) < 10) == side] for side in (0, 1)]
    assert near_duplicates(prints, *sides) == []
    copies = [fingerprint_of(0.5 * wave[:, 500:], 24_000) for wave in waves]
    count = len(prints)
    found = {(one.train, one.test) for one in near_duplicates(prints + copies, range(count), range(count, 2 * count))}
    long_enough = [number for number in range(count) if len(prints[number]) > 24]
    assert found == {(number, number + count) for number in long_enough}
    assert len(long_enough) > 0.75 * count


def test_silence_and_very_short_sound_are_like_nothing() -> None:
    silent = fingerprint_of(np.zeros((1, 48_000)), 24_000)
    assert near_duplicates([silent, silent], [0], [1]) == []
    assert len(fingerprint_of(np.ones((1, 100)), 24_000)) == 0
