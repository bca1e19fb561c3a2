"""A tiny tokenizer and a finished corpus, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.support import encode_here, write_sounds, write_tokenizer
from tokaudio.corpus.tokenize_batch import TokenizeBatch


@pytest.fixture(scope="session")
def tokenize(tmp_path_factory: pytest.TempPathFactory) -> TokenizeBatch:
    """What tokenizes with the tiny codec."""
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 short sounds."""
    return write_sounds(tmp_path_factory.mktemp("sounds"), 40)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, sounds: Path, tokenize: TokenizeBatch) -> Path:
    """These sounds in eight shards, encoded without interruption; not to be written to."""
    out = tmp_path_factory.mktemp("reference") / "out"
    encode_here(sounds, out, tokenize, items=5)
    return out
