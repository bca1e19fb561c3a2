"""A job is a folder: its plan, what it was begun with, what is done; `tokaudio.corpus.folder` has the names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tokaudio.atomic import Step, atomic_stream, atomic_write, output_error
from tokaudio.corpus.folder import MARKER, META, require_corpus
from tokaudio.corpus.inputs import list_inputs
from tokaudio.corpus.journal import Journal
from tokaudio.corpus.locks import Locks
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding, ShardPlan, plan_lines
from tokaudio.corpus.record import OTHER_OPTIONS, job_record, read_record, require_same
from tokaudio.corpus.sealed import seal
from tokaudio.corpus.shards import remove_temporaries
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.dataset_info import DatasetInfo

_PROBE_BYTES = 1 << 16


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
        out, step = require_corpus(folder), step or _go_on
        plan = ShardPlan.open(out / META / "plan.jsonl")
        if not (root and source):
            record = read_record(out)
            root, source = root or record["root"], source or record["source"]
        journal = Journal(out / META / "journal.jsonl", step=step)
        return cls(out, root, source, plan, Locks(out / META / "lock"), journal, step)

    def begin(self, options: EncodeOptions) -> DatasetInfo:
        """Load the tokenizer, and write down what the job is done with, or make sure that it is the same.

        Raises:
            CorpusError: if the job was begun with another tokenizer or other options.
            OutputError: if it cannot be written.
        """
        record = job_record(options, self.plan, root=self.root, source=self.source)
        file = self.folder / META / "job.json"
        with self.locks.whole():
            if file.exists():
                require_same(read_record(self.folder)["identity"], record["identity"], self.folder)
            else:
                atomic_write(file, seal(record).encode() + b"\n")
                self.step("begun with")
        return DatasetInfo.from_document(read_record(self.folder)["info"])

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
        raise CorpusError(one_line(out, f"was begun with other shards ({plan.header['sharding']})", OTHER_OPTIONS))
