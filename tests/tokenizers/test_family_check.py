"""Tiny members of published families: the same everywhere, of every family, and noticed where their codes differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tokaudio.tokenizers import family_check
from tokaudio.tokenizers.family_check import CODES, check_family, family_names, member_codes, tiny_member
from tokaudio.tokenizers.registry import FAMILIES

# What has no published weights: these are assembled or trained here, and ship with weights or not at all.
OWN = {"spectral-codec", "banded-codec", "trained-codec", "fused"}


def test_every_published_family_has_a_member() -> None:
    assert set(family_names()) == set(FAMILIES) - OWN
    with np.load(CODES) as stored:
        assert sorted(stored.files) == family_names()


@pytest.mark.parametrize("name", family_names())
def test_codes_are_those_that_were_stored(name: str) -> None:
    check = check_family(name)
    assert check.status in ("exact", "differs")
    # Elsewhere a near tie may fall to the other side.
    assert check.equal >= 0.98 * check.total > 0


def test_codes_are_not_all_alike() -> None:
    with np.load(CODES) as stored:
        distinct = {name: [len(np.unique(row)) for row in stored[name]] for name in stored.files}
    assert all(max(counts) >= 4 for counts in distinct.values()), distinct
    assert sum(min(counts) >= 8 for counts in distinct.values()) >= len(distinct) // 2, distinct


def test_members_are_small_and_the_same_each_time() -> None:
    folder = CODES.parent
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000
    assert tiny_member("dac").fingerprint == tiny_member("dac").fingerprint
    assert sum(value.numel() for value in tiny_member("dac").state_dict().values()) < 500_000


def test_other_codes_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = member_codes("snac").numpy().copy()
    codes[1, 4] ^= 1
    np.savez(tmp_path / "codes.npz", snac=codes, dac=codes[:, :3])
    monkeypatch.setattr(family_check, "CODES", tmp_path / "codes.npz")
    assert str(check_family("snac")).startswith(f"differs in 1 of {codes.size} codes")
    assert check_family("dac").status == "differs" and check_family("dac").equal == 0
    assert check_family("mimi").status == "missing"
