"""Processes of this machine: started here, told what to do by a pipe, and ended with whoever started them.

Each has one model on one thread and a few threads that read ahead. They claim shards by locks, so that any number of
them works on one folder, also where each was started on its own (torchrun, Slurm, a second terminal). One that dies is
started again; an input that kills it twice is set down as failed, and the others go on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokaudio import errors
from tokaudio.corpus.encoding import Told, silent
from tokaudio.corpus.engines.task import run_job
from tokaudio.corpus.engines.team import Team
from tokaudio.corpus.finishing import Summary
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.ranks import Rank, rank_from
from tokaudio.errors import CorpusError, one_line

# Deaths of processes that are put up with, per process and per input that is to blame.
_DEATHS = 3


def encode_corpus(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    workers: int = 1,
    tell: Told | None = None,
    prepared: Callable[[Job], None] | None = None,
    debug: bool = False,
) -> Summary:
    """Encode all inputs of a manifest or folder into shards, or go on where an earlier call was cut off.

    Args:
        source: manifest (`.jsonl`, `.csv`, `.tsv`) or folder of audio files.
        folder: for the shards; it holds nothing else.
        options: `EncodeOptions()` if None.
        workers: processes; 0 to work in this one.
        tell: is told of inputs as they are done: a failure's line (empty for none), inputs, seconds of sound.
        prepared: is told the job before the work begins.
        debug: let processes print the traceback of what ends them.

    Returns:
        The numbers of the finished job.

    Raises:
        AudioError: if there are no inputs.
        CorpusError: if the folder holds something else, or a job of other inputs or options.
        OutputError: if the disk takes no more; what is done stays, and the same call goes on from there.
        TokaudioError: if the tokenizer cannot be loaded.
    """
    wanted, told = options or EncodeOptions(), tell or silent

    def run(job: Job) -> None:
        if workers == 0:
            from tokaudio.corpus.worker import Worker

            Worker(job, wanted, rank_from(), told).run()
        else:
            Supervisor(job, wanted, workers, told, debug).run()

    return run_job(source, folder, wanted, run, prepared=prepared)


@dataclass
class Supervisor:
    """Starts processes, listens to them, and ends them.

    Args:
        job: prepared.
        options: of the job.
        workers: number of processes.
        tell: is told how it goes.
        debug: let processes print tracebacks.
    """

    job: Job
    options: EncodeOptions
    workers: int
    tell: Told
    debug: bool = False
    _broken: dict[str, str] = field(default_factory=dict)
    _trying: dict[int, str] = field(default_factory=dict)
    _deaths: int = 0

    def run(self) -> None:
        """Work until the job is done.

        Raises:
            TokaudioError: what ended a process.
            KeyboardInterrupt: after all processes are ended.
        """
        with Team(self.job.folder) as team:
            for index in range(min(self.workers, len(self.job.plan))):
                team.start(index, self.request(index, careful=False))
            while True:
                index, event = team.events.get()
                if event is None:
                    self._replace(team, index)
                elif "summary" in event:
                    break
                elif "error" in event:
                    raise _error(event)
                elif "trying" in event:
                    self._trying[index] = event["trying"]
                else:
                    self._pass_on(event)
        # What others had still to say.
        for said in team.rest():
            self._pass_on(said)

    def _pass_on(self, event: dict[str, Any]) -> None:
        if "failed" in event:
            self.tell(event["failed"], 0, 0.0)
        elif "inputs" in event:
            self.tell("", event["inputs"], event["seconds"])

    def request(self, index: int, *, careful: bool) -> dict[str, Any]:
        """Return what a process is told to do."""
        rank = Rank(index, self.workers).within(rank_from())
        return {
            "folder": str(self.job.folder.absolute()),
            "root": self.job.root,
            "source": self.job.source,
            "options": self.options.to_document(),
            "batch_seconds": self.options.tokenize.batch_seconds,
            "readers": self.options.readers,
            "rank": [rank.index, rank.count],
            "broken": self._broken,
            "careful": careful,
            "debug": self.debug,
        }

    def _replace(self, team: Team, index: int) -> None:
        """Start a process anew that died without a word, and remember which input it died of, if that is known."""
        code = team.processes[index].wait()
        self._deaths += 1
        if self._deaths > _DEATHS * (self.workers + len(self._broken)):
            problem = f"processes keep dying ({_name_of(code)})"
            raise CorpusError(one_line(self.job.folder, problem, "see whether memory suffices, with fewer workers"))
        key = self._trying.pop(index, None)
        if key is not None:
            problem = f"broke the process that worked on it ({_name_of(code)})"
            self._broken[key] = one_line(key, problem, "convert the file to WAV or FLAC anew")
        team.start(index, self.request(index, careful=True))


def _error(event: dict[str, Any]) -> Exception:
    """Return the error that ended a process, of its own class where that is one of ours."""
    kind = getattr(errors, event["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, errors.TokaudioError)):
        if event["error"] in ("MemoryError", "OutOfMemoryError"):
            return MemoryError(event["text"])
        return RuntimeError(f"{event['error']}: {event['text']}")
    error = kind(event["text"])
    if event["errno"] is not None and isinstance(error, OSError):
        error.errno = event["errno"]
    return error


def _name_of(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
