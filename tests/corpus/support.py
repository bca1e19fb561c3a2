"""What tests of corpora share: a tiny tokenizer in a folder, a folder of short sounds, and trees of bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tests.tokenizers.conftest import make_codec
from tokaudio.corpus.engines.local import encode_corpus
from tokaudio.corpus.finishing import Summary
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.storage.formats import shard_format

RATE = 4_000


def write_tokenizer(folder: Path) -> TokenizeBatch:
    """Save the tiny codec, which any process can load, and return what tokenizes with it."""
    return TokenizeBatch(str(make_codec().save_pretrained(folder)))


def write_sounds(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Write so many sounds of 0.05 to 0.3 s, of which some have another rate."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rate = 8_000 if index % 7 == 3 else RATE
        samples = random.normal(0, 0.1, int(rate * random.uniform(0.05, 0.3))).astype(np.float32)
        soundfile.write(folder / f"{index:03}.wav", samples, rate)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def encode_here(
    source: Path, out: Path, tokenize: TokenizeBatch, items: int = 10, form: str = "parquet", retry: bool = False
) -> Summary:
    """Encode in this process."""
    return encode_corpus(
        source,
        out,
        EncodeOptions(tokenize, shard_format(form), Sharding(items=items), retry_failed=retry),
        workers=0,
    )
