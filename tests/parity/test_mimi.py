"""Mimi against transformers' port and against the authors' package, in all published layouts."""

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity


@pytest.mark.parametrize("name", ["mimi", "mimi-moshi"])
def test_mimi(name: str, tmp_path: Path):
    """The long case is twice the window of the transformers."""
    peer = build(name)
    for layout in peer.facts.layouts:
        check_parity(peer, layout, tmp_path / layout, tried=list(cases(peer, long_frames=300)))
