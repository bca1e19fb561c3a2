"""XCodec2 and NeuCodec against transformers' ports, in transformers' layout and in the authors'."""

from pathlib import Path

import pytest

from tests.parity.support import build, cases, check_parity
from tokaudio.tokenizers.families.xcodec2 import NeuCodec, XCodec2


@pytest.mark.parametrize("layout", ["transformers", "original"])
def test_xcodec2(layout: str, tmp_path: Path):
    check_parity(build("xcodec2"), layout, tmp_path / layout, load=XCodec2.from_pretrained)


@pytest.mark.parametrize("layout", ["transformers", "original"])
def test_neucodec(layout: str, tmp_path: Path):
    peer = build("neucodec")
    # The reference has nothing to hear in a signal of less than one frame, and fails.
    tried = [case for case in cases(peer) if case.audio.shape[-1] >= 320]
    check_parity(peer, layout, tmp_path / layout, tried=tried, load=NeuCodec.from_pretrained)
