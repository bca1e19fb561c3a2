"""BigCodec against the package of that name, in the authors' layout and in the package's."""

from pathlib import Path

import pytest

from tests.parity.support import build, check_parity
from tokaudio.tokenizers.families.bigcodec import BigCodec


@pytest.mark.parametrize("layout", ["official", "hub"])
def test_codes_features_and_audio_are_those_of_the_reference(layout: str, tmp_path: Path):
    check_parity(build("bigcodec"), layout, tmp_path / layout, load=BigCodec.from_pretrained)
