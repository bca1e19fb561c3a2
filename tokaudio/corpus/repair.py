"""Mending a corpus: what is hit is encoded again, and nothing else is touched.

The marker and `job.json` each hold what the job was begun with, so that one mends the other; the plan is made again of
the inputs, and must come out as it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write
from tokaudio.corpus.finishing import Summary, read_marker
from tokaudio.corpus.folder import MARKER, META
from tokaudio.corpus.inputs import list_inputs
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding, ShardPlan, plan_lines
from tokaudio.corpus.record import read_record
from tokaudio.corpus.sealed import seal
from tokaudio.corpus.shards import remove_shard
from tokaudio.corpus.verify import Finding
from tokaudio.corpus.worker import Worker
from tokaudio.errors import CorpusError, one_line

_PLAN, _JOB, _JOURNAL = (f"{META}/{name}" for name in ("plan.jsonl", "job.json", "journal.jsonl"))


@dataclass(frozen=True)
class Repaired:
    """What a repair did.

    Attributes:
        summary: the job's numbers, as they were.
        shards: that were encoded again.
        removed: files that did not belong there.
    """

    summary: Summary
    shards: tuple[int, ...]
    removed: tuple[str, ...]


def repair_corpus(
    folder: str | os.PathLike[str],
    findings: Sequence[Finding],
    *,
    source: str | os.PathLike[str] | None = None,
    tell: Callable[[str, int, float], None] | None = None,
) -> Repaired:
    """Mend what `verify_corpus` found.

    Args:
        folder: of the corpus.
        findings: what is wrong with it.
        source: manifest or folder of the inputs; None for where they were.
        tell: as for `encode_corpus`.

    Raises:
        CorpusError: if the inputs are no longer what they were, or too much is lost to know what was there.
        OutputError: if a file cannot be written.
    """
    out = Path(folder)
    (out / META).mkdir(exist_ok=True)
    wrong = {finding.name for finding in findings}
    record = _begun_with(out)
    if _JOB in wrong:
        atomic_write(out / _JOB, seal(record).encode() + b"\n", overwrite=True)
    if _PLAN in wrong:
        _mend_plan(out, record, source)
    removed = [finding.name for finding in findings if finding.kind == "surplus"]
    for name in sorted(removed, reverse=True):
        remove_shard(out / name)
    if f"{META}/lock" in wrong:
        (out / META / "lock").write_bytes(b"")
    before = read_marker(out)["sha256"] if MARKER not in wrong else None
    with Job.open(out, root="" if source is None else list_inputs(source).root) as job:
        hit = sorted({finding.shard for finding in findings if finding.shard is not None})
        lost = [shard for shard in range(len(job.plan)) if shard not in job.journal.read()]
        with job.locks.whole():
            (out / MARKER).unlink(missing_ok=True)
            job.journal.compact()
            job.journal.reopen(shard for shard in hit if shard not in lost)
        worker = Worker(job, EncodeOptions.from_document(record["options"]))
        if tell is not None:
            worker.tell = tell
        summary = worker.run()
    _require_as_before(out, before)
    return Repaired(summary, tuple(sorted({*hit, *lost})), tuple(removed))


def _begun_with(out: Path) -> dict[str, Any]:
    try:
        return read_record(out)
    except CorpusError:
        record: dict[str, Any] = read_marker(out)["job"]
        return record


def _mend_plan(out: Path, record: dict[str, Any], source: str | os.PathLike[str] | None) -> None:
    """Make the plan again, which must be the one that the job was begun with."""
    place = record["source"] if source is None else os.fspath(source)
    sharding = Sharding(**record["sharding"])
    file = out / META / "plan.jsonl"
    content = b"".join(plan_lines(list_inputs(place), sharding))

    if hashlib.sha256(content).hexdigest() != record["identity"]["plan"]:
        raise CorpusError(one_line(file, f"cannot be mended: {place} lists other inputs now", "restore the manifest"))
    atomic_write(file, content, overwrite=True)
    ShardPlan.open(file)


def _require_as_before(out: Path, before: dict[str, str] | None) -> None:
    after = read_marker(out)["sha256"]
    if before is not None and before[_JOURNAL] != after[_JOURNAL]:
        problem = "the shards that were encoded again are not what they were, so that their sound has changed"
        raise CorpusError(one_line(out, problem, "restore the sound and repair again, or keep the new ones"))
