"""Which clips to train on, to validate on and to test on, and the proof that they have nothing in common.

    split = split_by(groups, seed=3, test=fixed)
    require_disjoint(split, groups, contents, prints, names)

Groups are speakers, for most tasks, and texts where speakers are to be told apart. The test set is the same for every
seed; what is left is parted anew by each seed into clips to train on and to validate on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from tokaudio.errors import one_line
from tokaudio.probes.data.fingerprints import Prints, near_duplicates
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.classifying import Split

TEST_SHARE = 0.3
VALID_SHARE = 0.2
_NAMES = {"train": "train", "valid": "valid", "dev": "valid", "validation": "valid", "test": "test", "eval": "test"}


def split_by(groups: Sequence[str], *, seed: int, test: Callable[[int], bool] | None = None) -> Split:
    """Return a split of clips whose sides share no group.

    Args:
        groups: of each clip.
        seed: draws the groups to validate on from those that are not tested on.
        test: whether a clip belongs to the test set, which must hold whole groups; if None, groups are drawn from
            their names, the same ones for every seed.

    Raises:
        ProbeError: there are too few groups.

    Example:
        >>> split = split_by([f"speaker {n // 2}" for n in range(20)], seed=0)
        >>> [len(side) for side in split]
        [12, 2, 6]
    """
    names = sorted(set(groups))
    if test is None:
        ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        tested = set(ranked[: max(1, round(TEST_SHARE * len(ranked)))])
    else:
        tested = {group for number, group in enumerate(groups) if test(number)}
    rest = [name for name in names if name not in tested]
    if len(rest) < 2 or not tested:
        raise ProbeError(
            f"{len(names)} groups (speakers, or texts), {len(tested)} of them to test on; give 3 or more, 2 not tested"
        )
    count = min(max(1, round(VALID_SHARE * len(rest))), len(rest) - 1)
    valid = set(np.random.default_rng(seed).permutation(np.array(rest))[:count].tolist())
    sides: tuple[list[int], list[int], list[int]] = ([], [], [])
    for number, group in enumerate(groups):
        sides[2 if group in tested else 1 if group in valid else 0].append(number)
    return Split(*sides)


def official_split(names: Sequence[str | None]) -> Split | None:
    """Return the split that the recordings themselves name, if all of them do: train, valid (dev) and test (eval).

    Raises:
        ProbeError: a name is unknown, or a side is empty.

    Example:
        >>> official_split(["train", "dev", "test", "train"])
        Split(train=[0, 3], valid=[1], test=[2])
    """
    if not names or any(name is None for name in names):
        return None
    unknown = sorted({str(name) for name in names if str(name) not in _NAMES})
    if unknown:
        raise ProbeError(f"split {unknown[0]!r} is unknown; name it {', '.join(_NAMES)}")
    sides = {
        side: [n for n, name in enumerate(names) if _NAMES[str(name)] == side] for side in ("train", "valid", "test")
    }
    if missing := [side for side, clips in sides.items() if not clips]:
        raise ProbeError(f"no recording is in split {missing[0]!r}; name some, or leave the column out")
    return Split(**sides)


def require_disjoint(
    split: Split, groups: Sequence[str], contents: Sequence[str], prints: Sequence[Prints], names: Sequence[str]
) -> None:
    """Refuse a split whose test set has anything in common with what is trained and validated on.

    Args:
        split: the split.
        groups: of each clip, which must not be shared.
        contents: of each clip, by which the same sound is told.
        prints: fingerprints, by which nearly the same sound is told.
        names: of the clips, for the message.

    Raises:
        ProbeError: a group, a recording or a part of one is on both sides.

    Example:
        >>> require_disjoint(Split([0], [1], [2]), ["a", "b", "a"], "xyz", [np.zeros(0, np.uint32)] * 3, "xyz")
        Traceback (most recent call last):
        tokaudio.probes.errors.ProbeError: z: its group 'a' is also trained on; split by groups
    """
    learnt = [*split.train, *split.valid]
    seen = {groups[number] for number in learnt}
    for number in split.test:
        if groups[number] in seen:
            raise ProbeError(
                one_line(names[number], f"its group {groups[number]!r} is also trained on", "split by groups")
            )
    sounds = {contents[number]: number for number in learnt}
    for number in split.test:
        if contents[number] in sounds:
            other = names[sounds[contents[number]]]
            raise ProbeError(
                one_line(names[number], f"is the same sound as {other}, which is trained on", "leave one out")
            )
    for found in near_duplicates(prints, learnt, split.test)[:1]:
        problem = f"is nearly the same sound as {names[found.train]}, which is trained on, for {found.seconds:.1f} s"
        raise ProbeError(one_line(names[found.test], f"{problem} ({found.errors:.0%} of bits differ)", "leave one out"))
