"""The end of a job: its journal in order, its failures listed, and the marker that says that all is there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write, output_error
from tokaudio.corpus.folder import MARKER, META
from tokaudio.corpus.job import Job
from tokaudio.corpus.journal import ShardRecord, journal_bytes
from tokaudio.corpus.plan import ShardPlan
from tokaudio.corpus.record import read_record
from tokaudio.corpus.sealed import seal, unseal
from tokaudio.corpus.shards import remove_temporaries
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.dataset_info import FILE_NAME, DatasetInfo, info_bytes

FORMAT, VERSION = "tokaudio-success", 1


@dataclass(frozen=True)
class Summary:
    """A finished job in numbers; every input is in exactly one of `ok`, `failed` and `skipped`.

    Attributes:
        listed: rows of the manifest, or files.
        ok: inputs that were encoded.
        failed: inputs that could not be.
        skipped: rows that stand in the manifest more than once, after the first.
        shards: of the plan.
        samples: of all rows, at the tokenizer's rate.
        frames: of all rows.
        hours: of sound.
        bytes: of all shards.
    """

    listed: int
    ok: int
    failed: int
    skipped: int
    shards: int
    samples: int
    frames: int
    hours: float
    bytes: int


def finish(job: Job) -> Summary | None:
    """Put the last files of a job in place, unless another process did, and return its numbers; None while shards miss.

    Raises:
        CorpusError: if what the job was begun with is damaged.
        OutputError: if a file cannot be written.
    """
    with job.locks.whole():
        done = job.journal.read()
        if len(done) < len(job.plan):
            return None
        record = read_record(job.folder)
        contents = final_files(record, job.plan, done)
        if all(_reads(job.folder / name, content) for name, content in contents.items()):
            return summary_of(record, job.plan, done)
        job.journal.compact()
        job.step("compacted")
        remove_temporaries(job.folder)
        remove_temporaries(job.folder / META)
        for name, content in contents.items():
            if not _reads(job.folder / name, content):
                atomic_write(job.folder / name, content, overwrite=True)
            job.step(f"put {name}")
    return summary_of(record, job.plan, done)


def finished(job: Job) -> Summary | None:
    """Return the numbers of a job whose marker stands and fits its plan; None of another.

    Raises:
        OutputError: if the marker is there and cannot be read.
    """
    try:
        marker = read_marker(job.folder)
    except CorpusError:
        return None
    if marker["sha256"][f"{META}/plan.jsonl"] != job.plan.sha256 or len(job.journal.read()) < len(job.plan):
        return None
    return Summary(**marker["counts"])


def final_files(record: Mapping[str, Any], plan: ShardPlan, done: Mapping[int, ShardRecord]) -> dict[str, bytes]:
    """Return the files that are written at the end of a job: name and content, the marker last."""
    summary = summary_of(record, plan, done)
    contents = {
        f"{META}/job.json": seal(record).encode() + b"\n",
        f"{META}/journal.jsonl": journal_bytes(done),
        f"{META}/failed.jsonl": failed_bytes(record["root"], plan, done),
        FILE_NAME: info_bytes(
            dataclasses.replace(
                DatasetInfo.from_document(record["info"]),
                num_rows=summary.ok,
                num_frames=summary.frames,
                num_samples=summary.samples,
            )
        ),
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    marker = {
        "format": FORMAT,
        "version": VERSION,
        "counts": dataclasses.asdict(summary),
        "sha256": {f"{META}/plan.jsonl": plan.sha256, **hashes},
        "job": dict(record),
    }
    return contents | {MARKER: seal(marker).encode() + b"\n"}


def failed_bytes(root: str, plan: ShardPlan, done: Mapping[int, ShardRecord]) -> bytes:
    """Return the list of inputs that failed: the rows of a manifest, each with its `reason`."""
    lines = []
    for shard in sorted(done):
        reasons = {one.key: one for one in done[shard].failed}
        for one in plan[shard] if reasons else ():
            if one.key in reasons:
                failed = reasons[one.key]
                row = {"path": str(Path(root, one.name)), "key": one.key, "start": one.start, "end": one.end}
                facts = {name: value for name, value in row.items() if value is not None} | dict(one.columns)
                lines.append(json.dumps(facts | {"reason": failed.reason, "environment": failed.environment}))
    return "".join(f"{line}\n" for line in lines).encode()


def summary_of(record: Mapping[str, Any], plan: ShardPlan, done: Mapping[int, ShardRecord]) -> Summary:
    """Return a job's numbers."""
    shards = done.values()
    samples = sum(shard.samples for shard in shards)
    rate = int(record["info"]["tokenizer"]["sample_rate"])
    skipped = len(plan.header["skipped"])
    return Summary(
        listed=plan.header["inputs"] + skipped,
        ok=sum(shard.rows for shard in shards),
        failed=sum(len(shard.failed) for shard in shards),
        skipped=skipped,
        shards=len(plan),
        samples=samples,
        frames=sum(shard.frames for shard in shards),
        hours=samples / rate / 3600,
        bytes=sum(size for shard in shards for _, size, _ in shard.files),
    )


def read_marker(folder: Path) -> dict[str, Any]:
    """Return what the marker says.

    Raises:
        CorpusError: if it is not there, or damaged.
    """
    file = folder / MARKER
    try:
        record = unseal(file.read_bytes().decode("ascii").removesuffix("\n"))
    except FileNotFoundError:
        raise CorpusError(
            one_line(file, "is missing: the job is not finished", "encode again, which goes on")
        ) from None
    except OSError as error:
        raise output_error(file, error) from error
    except (CorpusError, UnicodeDecodeError):
        raise CorpusError(one_line(file, "is damaged", "run corpus verify --repair")) from None
    if (record.get("format"), record.get("version")) != (FORMAT, VERSION):
        raise CorpusError(one_line(file, "is of another version", "upgrade tokaudio"))
    return record


def _reads(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
