"""Every tokenizer that can be loaded by name keeps every promise."""

import os

import pytest

from tokaudio import Tokenizer, list_tokenizers
from tokaudio.testing import check_tokenizer
from tokaudio.testing.tokenizers import LAWS

# `tests/nightly/everywhere.py` asks for all cases.
THOROUGH = os.environ.get("TOKAUDIO_THOROUGH") == "1"
MAY_NOT_APPLY = {"streaming encode", "encode_blocks", "streaming decode", "decode_blocks", "interleaved streams"}


@pytest.mark.parametrize("name", list_tokenizers())
def test_every_tokenizer_keeps_every_promise(name: str):
    tokenizer = Tokenizer.from_pretrained(name)
    report = check_tokenizer(tokenizer, thorough=THOROUGH)
    assert [law.name for law in report.laws] == list(LAWS)
    unexplained = {law.name for law in report.laws if not law.cases}
    assert not unexplained or (unexplained <= MAY_NOT_APPLY and tokenizer.spec.chunking == "none")


def test_there_are_tokenizers_to_check():
    assert "mini-codec" in list_tokenizers()
