"""What lies in the folder of a job.

OUT/part-00000.parquet ...     the shards
OUT/tokaudio.json              what holds for all rows, and their number
OUT/_SUCCESS                   the marker: counts, and the SHA-256 of everything else
OUT/.tokaudio/plan.jsonl       which input lies in which shard
OUT/.tokaudio/job.json         tokenizer, options, and their fingerprint
OUT/.tokaudio/journal.jsonl    one line per shard that is done
OUT/.tokaudio/failed.jsonl     inputs that could not be encoded, a manifest of its own
OUT/.tokaudio/lock             empty, held byte by byte
"""

from __future__ import annotations

import os
from pathlib import Path

from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.dataset_info import FILE_NAME

META, MARKER = ".tokaudio", "_SUCCESS"


def require_corpus(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of a job, finished or not.

    Raises:
        CorpusError: if it is none.

    Example:
        >>> require_corpus("nowhere")
        Traceback (most recent call last):
        tokaudio.errors.CorpusError: nowhere: holds no corpus; give the folder of corpus encode
    """
    out = Path(folder)
    if not (out / META).is_dir() and not (out / MARKER).exists():
        converted = (out / FILE_NAME).exists()
        problem = "was converted, and has neither journal nor hashes" if converted else "holds no corpus"
        raise CorpusError(one_line(folder, problem, "give the folder of corpus encode"))
    return out
