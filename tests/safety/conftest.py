"""A tiny tokenizer, made once."""

from __future__ import annotations

import pytest

from tests.corpus.support import write_tokenizer
from tokaudio.corpus.tokenize_batch import TokenizeBatch


@pytest.fixture(scope="session")
def tokenize(tmp_path_factory: pytest.TempPathFactory) -> TokenizeBatch:
    """What tokenizes with the tiny codec."""
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
