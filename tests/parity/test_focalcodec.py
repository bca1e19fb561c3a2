"""FocalCodec against a reference put together from parts: codes, latents and decoded sound, at three rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity
from tokaudio import Tokenizer


@pytest.mark.parametrize("name", ["focalcodec-50hz", "focalcodec-25hz", "focalcodec-12.5hz"])
def test_focalcodec(name: str, tmp_path: Path) -> None:
    peer = build(name)
    # At the lower rates, sound is long for its codes.
    frames = {320: 250, 640: 220, 1280: 200}[peer.facts.hop_length]
    check_parity(peer, "0.0.2", tmp_path / "0.0.2", tried=list(cases(peer, long_frames=frames)))
    read = [
        Tokenizer.from_pretrained(peer.save(tmp_path / f"{i}", layout)) for i, layout in enumerate(peer.facts.layouts)
    ]
    assert read[0].fingerprint == read[1].fingerprint
