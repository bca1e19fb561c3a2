"""What a job is begun with, so that it is gone on with under nothing else: `job.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokaudio import __version__
from tokaudio.corpus.folder import META
from tokaudio.corpus.sealed import unseal
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo

if TYPE_CHECKING:
    from tokaudio.corpus.options import EncodeOptions
    from tokaudio.corpus.plan import ShardPlan
    from tokaudio.corpus.tokenize_batch import TokenizeBatch

FORMAT, VERSION = "tokaudio-corpus", 1
OTHER_OPTIONS = "encode to another folder, or go on with the same options"


def job_record(options: EncodeOptions, plan: ShardPlan, *, root: str, source: str) -> dict[str, Any]:
    """Return what `job.json` says; the tokenizer is loaded for it.

    Args:
        options: of the job.
        plan: of the job.
        root: folder that names of inputs are relative to.
        source: manifest or folder that lists them.
    """
    from tokaudio.audio import RESAMPLER

    tokenizer = options.tokenize.load()
    info = dataset_info(options.tokenize, plan)
    identity = {
        "tokenizer": info.spec.name,
        "fingerprint": info.fingerprint,
        "num_codebooks": info.spec.num_codebooks,
        "allow_truncated": options.tokenize.allow_truncated,
        "format": options.form.name,
        "device": tokenizer.device.type,
        "resampler": RESAMPLER,
        "plan": plan.sha256,
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "tokaudio": __version__,
        "fingerprint": fingerprint(identity),
        "identity": identity,
        "options": options.to_document(),
        "root": root,
        "source": source,
        "sharding": plan.header["sharding"],
        "info": info.to_document(),
    }


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that differ where any option does that may change a byte.

    Example:
        >>> fingerprint({"format": "parquet"}) == fingerprint({"format": "npz"})
        False
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def read_record(folder: Path) -> dict[str, Any]:
    """Return what `job.json` says.

    Raises:
        CorpusError: if it is not there, or damaged.
    """
    file = folder / META / "job.json"
    try:
        return unseal(file.read_text(encoding="ascii").removesuffix("\n"))
    except OSError as error:
        raise CorpusError(one_line(file, f"cannot be read ({error.strerror})", "begin the job anew")) from error
    except (CorpusError, UnicodeDecodeError):
        raise CorpusError(one_line(file, "is damaged", "run corpus verify --repair")) from None


def require_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raise where a job's identity is not the one that it was begun with.

    Raises:
        CorpusError: it names the first difference.
    """
    for name, value in now.items():
        if before.get(name) != value:
            problem = f"was begun with {name} {before.get(name)!a:.60}, and this is {value!a:.60}"
            raise CorpusError(one_line(folder, problem, OTHER_OPTIONS))


def dataset_info(tokenize: TokenizeBatch, plan: ShardPlan) -> DatasetInfo:
    """Return what holds for all rows; what side information there is, a second of silence tells."""
    from tokaudio.audio import RESAMPLER
    from tokaudio.storage.rows import TokenRow

    tokenizer = tokenize.load()
    spec = tokenizer.spec
    if tokenize.num_codebooks is not None and not 1 <= tokenize.num_codebooks <= spec.num_codebooks:
        problem = f"{spec.name} has {spec.num_codebooks} codebooks"
        raise CorpusError(one_line(f"{tokenize.num_codebooks} codebooks", problem, f"give 1 to {spec.num_codebooks}"))
    (silence,) = tokenize.tokens([np.zeros((spec.channels, spec.sample_rate), np.float32)])
    if isinstance(silence, Exception):
        raise silence
    row = TokenRow.from_tokens(silence, "silence")
    extras = {
        name: ExtraInfo(str(value.dtype), value.shape[name.startswith("frame_") :])
        for name, value in row.extras.items()
    }
    return DatasetInfo(
        silence.spec,
        tokenizer.fingerprint,
        provenance={"resampler": RESAMPLER},
        columns=plan.columns,
        extras=extras,
        depth=row.depth is not None,
    )
