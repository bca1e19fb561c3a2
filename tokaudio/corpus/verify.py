"""Whether every bit of a finished corpus is as it was written.

The marker holds the SHA-256 of the plan, the journal and all that describes the job, the journal that of every shard;
marker and records hold their own. So a single bit that flips anywhere is found, and so is a file that is missing or
does not belong there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tokaudio.corpus.finishing import read_marker
from tokaudio.corpus.folder import MARKER, META, require_corpus
from tokaudio.corpus.journal import Journal, ShardRecord
from tokaudio.corpus.shards import corpus_format, shard_name
from tokaudio.digests import sha256_of
from tokaudio.errors import CorpusError
from tokaudio.storage.dataset_info import FILE_NAME

Kind = Literal["damaged", "missing", "surplus", "unfinished"]

_LOCK = f"{META}/lock"
_JOURNAL = f"{META}/journal.jsonl"


@dataclass(frozen=True)
class Finding:
    """What is wrong with one file.

    Attributes:
        name: of the file, relative to the corpus.
        kind: `damaged` and `missing` files are not as written, `surplus` ones do not belong there; `unfinished` stands
            for a job whose marker is not there.
        shard: number of the shard that it belongs to; None for the files that describe the job.
    """

    name: str
    kind: Kind
    shard: int | None = None

    def __str__(self) -> str:
        words = {
            "damaged": "is damaged; repair it with corpus verify --repair",
            "missing": "is missing; repair it with corpus verify --repair",
            "surplus": "does not belong here; remove it, or use corpus verify --repair",
            "unfinished": "is missing: the job is not finished; encode again, which goes on",
        }
        return f"{self.name}: {words[self.kind]}"


def verify_corpus(folder: str | os.PathLike[str], *, tell: Callable[[str], None] | None = None) -> list[Finding]:
    """Return what is wrong with a corpus; nothing where every file is as it was written.

    Args:
        folder: of `corpus encode`.
        tell: is told the name of every shard that has been read.

    Raises:
        CorpusError: if there is no corpus.
    """
    out = require_corpus(folder)
    findings: list[Finding] = []
    try:
        marker: dict[str, Any] | None = read_marker(out)
    except CorpusError:
        marker = None
        findings.append(Finding(MARKER, "damaged" if (out / MARKER).exists() else "unfinished"))
    known = {MARKER, _LOCK, *_described(marker)}
    findings += _check_described(out, marker)
    if _size(out / _LOCK) != 0:
        findings.append(Finding(_LOCK, "damaged" if (out / _LOCK).exists() else "missing"))
    journal = Journal(out / _JOURNAL)
    done = journal.read()
    for shard in sorted(done):
        for finding in _check_shard(out, done[shard]):
            findings.append(finding)
        known |= {name for name, _, _ in done[shard].files}
        if tell is not None:
            tell(f"shard {shard}")
    findings += _missing_records(marker, done)
    findings += _surplus(out, known, findings)
    return findings


def _described(marker: dict[str, Any] | None) -> list[str]:
    if marker is not None:
        return list(marker["sha256"])
    return [FILE_NAME, *(f"{META}/{name}" for name in ("plan.jsonl", "job.json", "journal.jsonl", "failed.jsonl"))]


def _check_described(out: Path, marker: dict[str, Any] | None) -> Iterator[Finding]:
    """Check the files that the marker names; without it, what they say of themselves."""
    if marker is None:
        yield from _check_alone(out)
        return
    for name, sha256 in marker["sha256"].items():
        try:
            if sha256_of(out / name) != sha256:
                yield Finding(name, "damaged")
        except OSError:
            yield Finding(name, "missing")


def _check_alone(out: Path) -> Iterator[Finding]:
    from tokaudio.corpus.plan import ShardPlan
    from tokaudio.corpus.record import read_record

    try:
        plan = ShardPlan.open(out / META / "plan.jsonl")
        for shard in range(len(plan)):
            _ = plan[shard]
    except CorpusError:
        yield Finding(f"{META}/plan.jsonl", "damaged")
    try:
        read_record(out)
    except CorpusError:
        yield Finding(f"{META}/job.json", "damaged")
    journal = Journal(out / _JOURNAL)
    journal.read()
    if journal.damaged:
        yield Finding(_JOURNAL, "damaged")


def _check_shard(out: Path, record: ShardRecord) -> Iterator[Finding]:
    for name, size, sha256 in record.files:
        try:
            if (out / name).stat().st_size != size or sha256_of(out / name) != sha256:
                yield Finding(name, "damaged", record.shard)
        except OSError:
            yield Finding(name, "missing", record.shard)


def _missing_records(marker: dict[str, Any] | None, done: dict[int, ShardRecord]) -> Iterator[Finding]:
    """Find shards whose record is lost, so that nothing says what their files should be."""
    if marker is None:
        return
    form = corpus_format(marker["job"]["options"]["format"])
    for shard in range(marker["counts"]["shards"]):
        if shard not in done:
            yield Finding(shard_name(shard, form), "damaged", shard)


def _surplus(out: Path, known: set[str], findings: list[Finding]) -> list[Finding]:
    named = known | {finding.name for finding in findings}
    found = []
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        folder = path.is_dir() and not path.is_symlink()
        belongs = name in named or (folder and any(one.startswith(f"{name}/") for one in named))
        within = any(name.startswith(f"{one.name}/") for one in findings if one.shard is not None)
        if not belongs and not within:
            found.append(Finding(name, "surplus"))
    return found


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
