"""SpeechTokenizer against its package: codes, features and decoded sound, with ELU and with Snake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity


@pytest.mark.parametrize("name", ["speechtokenizer", "speechtokenizer-snake"])
def test_speechtokenizer(name: str, tmp_path: Path) -> None:
    peer = build(name)
    (layout,) = peer.facts.layouts
    check_parity(peer, layout, tmp_path / layout, tried=list(cases(peer, long_frames=600)))
