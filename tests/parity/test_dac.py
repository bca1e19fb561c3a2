"""DAC against transformers and descript's own package, each in the file layout that it publishes."""

from pathlib import Path

import pytest

from tests.parity.support import build, check_parity

NAMES = [f"dac-{size}{package}" for package in ("", "-descript") for size in ("16k", "24k", "44k")]


@pytest.mark.parametrize("name", [*NAMES, "dac-44k-16kbps-descript"])
def test_codes_features_and_audio_are_those_of_the_reference(name: str, tmp_path: Path):
    peer = build(name)
    for layout in peer.facts.layouts:
        check_parity(peer, layout, tmp_path / layout)
