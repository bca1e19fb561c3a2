"""Stable Codec against stable-audio-tools and stable-codec: codes, features and decoded sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity


@pytest.mark.parametrize(
    ("name", "layout"),
    [("stable-codec", "safetensors"), ("stable-codec", "ckpt"), ("stable-codec-snake", "safetensors")],
)
def test_codes_features_and_audio_are_those_of_the_reference(name: str, layout: str, tmp_path: Path):
    peer = build(name)
    check_parity(peer, layout, tmp_path / layout, tried=list(cases(peer, long_frames=400)))
