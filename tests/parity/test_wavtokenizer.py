"""WavTokenizer against its parts: codes, features and decoded sound, at 40 and at 75 Hz."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity


@pytest.mark.parametrize("name", ["wavtokenizer-40", "wavtokenizer-75"])
def test_wavtokenizer(name: str, tmp_path: Path) -> None:
    peer = build(name)
    check_parity(peer, "lightning", tmp_path / "lightning", tried=list(cases(peer, long_frames=1200)))
