"""A job is a folder: its plan, what it was begun with, what is done, and in the end a marker that says that all is.

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

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokaudio import __version__
from tokaudio.atomic import Step, atomic_stream, atomic_write, output_error
from tokaudio.corpus.inputs import list_inputs
from tokaudio.corpus.journal import Journal
from tokaudio.corpus.locks import Locks
from tokaudio.corpus.plan import Sharding, ShardPlan, plan_lines
from tokaudio.corpus.sealed import seal, unseal
from tokaudio.corpus.shards import corpus_format, remove_temporaries
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo
from tokaudio.storage.formats import ShardFormat

if TYPE_CHECKING:
    from tokaudio.corpus.tokenize_batch import TokenizeBatch

FORMAT, VERSION = "tokaudio-corpus", 1
META, MARKER = ".tokaudio", "_SUCCESS"
_PROBE_BYTES = 1 << 16
_OTHER = "encode to another folder, or go on with the same options"


def _go_on(name: str) -> None:
    """Take note of a step, and do nothing."""


@dataclass
class Job:
    """An opened job.

    Attributes:
        folder: OUT.
        root: folder that names of inputs are relative to.
        source: manifest or folder that lists them.
        plan: its shards.
        locks: who works on what.
        journal: what is done.
        step: is told the name of every step that matters after a power failure; tests pull the plug there.
    """

    folder: Path
    root: str
    source: str
    plan: ShardPlan
    locks: Locks
    journal: Journal
    step: Step

    @classmethod
    def prepare(
        cls,
        source: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        sharding: Sharding | None = None,
        step: Step | None = None,
    ) -> Job:
        """Open a folder for the inputs of a manifest or folder: begin a job there, or go on with one.

        Nothing heavy has been done when this fails: a disk that takes nothing is found before a model is loaded.

        Raises:
            AudioError: if there are no inputs.
            CorpusError: if the folder holds something else, or a job of other inputs.
            OutputError: if it cannot be written to.
        """
        listing = list_inputs(source)
        sharding = sharding or Sharding()
        out, step = Path(folder), step or _go_on
        _make(out)
        locks = Locks(out / META / "lock")
        try:
            with locks.whole():
                _probe(out / META)
                file = out / META / "plan.jsonl"
                if not file.exists():
                    step("listed")
                    with atomic_stream(file) as stream:
                        stream.writelines(plan_lines(listing, sharding))
                plan = ShardPlan.open(file)
                _require_same_plan(plan, listing.digest(), len(listing.inputs), sharding, out)
        except BaseException:
            locks.close()
            raise
        journal = Journal(out / META / "journal.jsonl", step=step)
        return cls(out, listing.root, str(Path(source).absolute()), plan, locks, journal, step)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, root: str = "", source: str = "", step: Step | None = None) -> Job:
        """Open a job that exists.

        Args:
            folder: OUT.
            root: of the inputs; empty for where they were when the job was begun.
            source: that lists them; likewise.
            step: as for `prepare`.

        Raises:
            CorpusError: if there is none, or its plan is damaged.
            OutputError: if it cannot be written to.
        """
        out, step = Path(folder), step or _go_on
        if not (out / META).is_dir():
            raise CorpusError(one_line(folder, "holds no corpus", "give the folder of corpus encode"))
        plan = ShardPlan.open(out / META / "plan.jsonl")
        if not (root and source):
            record = read_job(out)
            root, source = root or record["root"], source or record["source"]
        journal = Journal(out / META / "journal.jsonl", step=step)
        return cls(out, root, source, plan, Locks(out / META / "lock"), journal, step)

    def begin(self, tokenize: TokenizeBatch, form: ShardFormat) -> DatasetInfo:
        """Load the tokenizer, and write down what the job is done with, or make sure that it is the same.

        Raises:
            CorpusError: if the job was begun with another tokenizer or other options.
            OutputError: if it cannot be written.
        """
        record = job_record(self, tokenize, form)
        file = self.folder / META / "job.json"
        with self.locks.whole():
            if file.exists():
                _require_same(read_job(self.folder)["identity"], record["identity"], self.folder)
            else:
                atomic_write(file, seal(record).encode() + b"\n")
                self.step("begun with")
        return DatasetInfo.from_document(read_job(self.folder)["info"])

    def retry(self) -> int:
        """Take back all shards with inputs that failed, and return their number.

        Raises:
            OutputError: if that cannot be written.
        """
        with self.locks.whole():
            shards = [shard for shard, record in self.journal.read().items() if record.failed]
            if shards:
                try:
                    (self.folder / MARKER).unlink(missing_ok=True)
                except OSError as error:
                    raise output_error(self.folder / MARKER, error) from error
                self.journal.reopen(shards)
        return len(shards)

    def close(self) -> None:
        """Let go of the folder."""
        self.locks.close()

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def job_record(job: Job, tokenize: TokenizeBatch, form: ShardFormat) -> dict[str, Any]:
    """Return what `job.json` says."""
    from tokaudio.audio import RESAMPLER

    tokenizer = tokenize.load()
    info = dataset_info(tokenize, job.plan)
    identity = {
        "tokenizer": info.spec.name,
        "fingerprint": info.fingerprint,
        "num_codebooks": info.spec.num_codebooks,
        "allow_truncated": tokenize.allow_truncated,
        "format": form.name,
        "device": tokenizer.device.type,
        "resampler": RESAMPLER,
        "plan": job.plan.sha256,
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "tokaudio": __version__,
        "fingerprint": fingerprint(identity),
        "identity": identity,
        "options": options_of(tokenize, form),
        "root": job.root,
        "source": job.source,
        "sharding": job.plan.header["sharding"],
        "info": info.to_document(),
    }


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that differ where any option does that may change a byte.

    Example:
        >>> fingerprint({"format": "parquet"}) == fingerprint({"format": "npz"})
        False
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def options_of(tokenize: TokenizeBatch, form: ShardFormat) -> dict[str, Any]:
    """Return the options that a job is begun with, as they were given."""
    return {
        "tokenizer": tokenize.tokenizer,
        "num_codebooks": tokenize.num_codebooks,
        "layers": None if tokenize.layers is None else list(tokenize.layers),
        "device": tokenize.device,
        "allow_truncated": tokenize.allow_truncated,
        "format": form.name,
    }


def options_from(record: Mapping[str, Any]) -> tuple[TokenizeBatch, ShardFormat]:
    """Return the options that a job was begun with, of its `job.json`."""
    from tokaudio.corpus.tokenize_batch import TokenizeBatch

    given = dict(record["options"])
    form = corpus_format(given.pop("format"))
    layers = given.pop("layers")
    return TokenizeBatch(layers=None if layers is None else tuple(layers), **given), form


def read_job(folder: Path) -> dict[str, Any]:
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


def _make(out: Path) -> None:
    """Make the folders of a job, where there is none."""
    try:
        if out.is_dir() and not (out / META).is_dir() and any(out.iterdir()):
            raise CorpusError(one_line(out, "holds other files", "name a new folder"))
        (out / META).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(out, error) from error


def _probe(meta: Path) -> None:
    """Find out whether the disk takes anything."""
    remove_temporaries(meta)
    atomic_write(meta / "probe", bytes(_PROBE_BYTES), overwrite=True)
    (meta / "probe").unlink()


def _require_same_plan(plan: ShardPlan, listed: str, inputs: int, sharding: Sharding, out: Path) -> None:
    if plan.header["listing"] != listed:
        problem = f"was begun with other inputs ({plan.header['inputs']:,}; these are {inputs:,})"
        raise CorpusError(one_line(out, problem, "give the same manifest or folder, or another output"))
    if Sharding(**plan.header["sharding"]) != sharding:
        raise CorpusError(one_line(out, f"was begun with other shards ({plan.header['sharding']})", _OTHER))


def _require_same(before: Mapping[str, Any], now: Mapping[str, Any], out: Path) -> None:
    for name, value in now.items():
        if before.get(name) != value:
            problem = f"was begun with {name} {before.get(name)!a:.60}, and this is {value!a:.60}"
            raise CorpusError(one_line(out, problem, _OTHER))
