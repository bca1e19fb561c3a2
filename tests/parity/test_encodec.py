"""EnCodec against transformers' port, in all published layouts."""

from pathlib import Path

import pytest

from tests.parity.support import build, check_parity
from tokaudio import Tokenizer


def load(folder: Path) -> Tokenizer:
    """Load a folder; a release file is renamed, for under its own name its digest would be checked."""
    for path in folder.glob("*.th"):
        path.rename(folder / "random.th")
    return Tokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", ["encodec-24k", "encodec-32k", "encodec-48k"])
def test_encodec(name: str, tmp_path: Path):
    peer = build(name)
    for layout in peer.facts.layouts:
        check_parity(peer, layout, tmp_path / layout, load=load)
