"""NanoCodec's three variants against the layers of NVIDIA's toolkit, from archives and from unpacked files."""

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity
from tokaudio.tokenizers.families.nanocodec import NanoCodec


@pytest.mark.parametrize("name", ["nanocodec-0.6kbps", "nanocodec-1.78kbps", "nanocodec-1.89kbps"])
def test_nanocodec(name: str, tmp_path: Path):
    """The variants differ in rates and groups: the first is tried at everything, the others at what shows those."""
    peer = build(name)
    if name.endswith("0.6kbps"):
        tried = list(cases(peer, long_frames=110))
    else:
        tried = [case for case in cases(peer, long_frames=280) if case.name in ("one more", "long")]
    check_parity(peer, "nemo", tmp_path, load=NanoCodec.from_pretrained, tried=tried)


def test_unpacked_files_hold_the_same(tmp_path: Path):
    peer = build("nanocodec-0.6kbps")
    packed, loose = (NanoCodec.from_pretrained(peer.save(tmp_path / layout, layout)) for layout in peer.facts.layouts)
    assert packed.fingerprint == loose.fingerprint and packed.spec.codebooks == loose.spec.codebooks
