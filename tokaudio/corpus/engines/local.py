"""Processes of this machine: started here, told what to do by a pipe, and ended with whoever started them.

Each has one model on one thread and a few threads that read ahead. They claim shards by locks, so that any number of
them works on one folder, also where each was started on its own (torchrun, Slurm, a second terminal). One that dies is
started again; an input that kills it twice is set down as failed, and the others go on.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokaudio import errors
from tokaudio.corpus.finishing import Summary, finished
from tokaudio.corpus.job import Job, options_of, read_job
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.ranks import Rank, rank_from
from tokaudio.corpus.shards import remove_temporaries
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.formats import ShardFormat, shard_format

_PATIENCE_SECONDS = 2.0
# Deaths of processes that are put up with, per process and per input that is to blame.
_DEATHS = 3

Told = Callable[[str, int, float], None]


def encode_corpus(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    tokenize: TokenizeBatch | None = None,
    form: ShardFormat | None = None,
    sharding: Sharding | None = None,
    workers: int = 1,
    readers: int = 2,
    retry_failed: bool = False,
    tell: Told | None = None,
    prepared: Callable[[Job], None] | None = None,
    debug: bool = False,
) -> Summary:
    """Encode all inputs of a manifest or folder into shards, or go on where an earlier call was cut off.

    Args:
        source: manifest (`.jsonl`, `.csv`, `.tsv`) or folder of audio files.
        folder: for the shards; it holds nothing else.
        tokenize: how sound becomes codes; `TokenizeBatch()` if None.
        form: format of the shards; Parquet if None.
        sharding: when a shard is full.
        workers: processes; 0 to work in this one.
        readers: threads of each that decode ahead of the model.
        retry_failed: try inputs once more that failed before.
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
    tokenize, form = tokenize or TokenizeBatch(), form or shard_format("parquet")
    with Job.prepare(source, folder, sharding=sharding) as job:
        if retry_failed:
            job.retry()
        if prepared is not None:
            prepared(job)
        summary = finished(job)
        if summary is not None and read_job(job.folder)["options"] == options_of(tokenize, form):
            return summary
        if workers == 0:
            from tokaudio.corpus.worker import Worker

            worker = Worker(job, tokenize, form, rank_from(), readers, tell or _silent)
            return worker.run()
        return Supervisor(job, tokenize, form, workers, readers, tell or _silent, debug).run()


def _silent(line: str, inputs: int, seconds: float) -> None:
    """Take note, and say nothing."""


@dataclass
class Supervisor:
    """Starts processes, listens to them, and ends them.

    Args:
        job: prepared.
        tokenize: how sound becomes codes.
        form: of the shards.
        workers: number of processes.
        readers: threads of each.
        tell: is told how it goes.
        debug: let processes print tracebacks.
    """

    job: Job
    tokenize: TokenizeBatch
    form: ShardFormat
    workers: int
    readers: int
    tell: Told
    debug: bool = False
    _broken: dict[str, str] = field(default_factory=dict)
    _deaths: int = 0

    def run(self) -> Summary:
        """Work until the job is done, and return its numbers.

        Raises:
            TokaudioError: what ended a process.
            KeyboardInterrupt: after all processes are ended.
        """
        with _ending(self) as team:
            for index in range(min(self.workers, len(self.job.plan))):
                team.start(index, careful=False)
            while True:
                index, event = team.events.get()
                if event is None:
                    self._replace(team, index)
                elif "summary" in event:
                    break
                elif "error" in event:
                    raise _error(event)
                elif "trying" in event:
                    team.trying[index] = event["trying"]
                else:
                    self._pass_on(event)
        # What others had still to say.
        for _, said in team.rest():
            self._pass_on(said)
        return Summary(**event["summary"])

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
            "options": options_of(self.tokenize, self.form) | {"batch_seconds": self.tokenize.batch_seconds},
            "rank": [rank.index, rank.count],
            "readers": self.readers,
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
        key = team.trying.pop(index, None)
        if key is not None:
            problem = f"broke the process that worked on it ({_name_of(code)})"
            self._broken[key] = one_line(key, problem, "convert the file to WAV or FLAC anew")
        team.start(index, careful=True)


@dataclass
class Team:
    """Processes that run, and what they say."""

    supervisor: Supervisor
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    trying: dict[int, str] = field(default_factory=dict)
    listeners: list[threading.Thread] = field(default_factory=list)
    events: queue.Queue[tuple[int, dict[str, Any] | None]] = field(default_factory=queue.Queue)

    def start(self, index: int, *, careful: bool) -> None:
        """Start a process."""
        root = str(Path(errors.__file__).parents[1])
        paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-m", "tokaudio.corpus.engines.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths},
            # Ctrl-C in a terminal goes to this process alone, which ends the others.
            process_group=0,
        )
        self.processes[index] = process
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(self.supervisor.request(index, careful=careful)).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once, as will be seen
        self.listeners.append(threading.Thread(target=self._listen, args=(index, process), daemon=True))
        self.listeners[-1].start()

    def _listen(self, index: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self.events.put((index, json.loads(line)))
        self.events.put((index, None))

    def rest(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what processes that have ended had said."""
        for listener in self.listeners:
            listener.join()
        while not self.events.empty():
            index, event = self.events.get()
            if event is not None:
                yield index, event

    def end(self) -> None:
        """End all processes, and take away what they left unfinished."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
            remove_temporaries(self.supervisor.job.folder, process=str(process.pid))


@contextmanager
def _ending(supervisor: Supervisor) -> Iterator[Team]:
    """Give a team that is ended with the block, whatever happens."""
    team = Team(supervisor)
    try:
        yield team
    finally:
        team.end()


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
