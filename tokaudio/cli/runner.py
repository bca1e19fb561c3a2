"""Doing the jobs: on worker threads that stop cleanly, with progress, with one failure not ending the rest."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

from tokaudio.cli.batch import Job
from tokaudio.cli.failures import dooms_the_rest
from tokaudio.cli.progress import Meter, meter
from tokaudio.cli.report import Report, Result
from tokaudio.cli.signals import leave, orderly

# Work stops between two blocks, which takes milliseconds; beyond this, a disk or a decoder hangs.
_PATIENCE_SECONDS = 2.0


class Cancelled(BaseException):
    """The run was interrupted while this job was being done."""


class Ticker:
    """What a job reports to as it goes on.

    Args:
        job: what is being done.
        meter: the progress of the whole run.
        stop: set where the run was interrupted.
    """

    def __init__(self, job: Job, meter: Meter, stop: threading.Event) -> None:
        self._job, self._meter, self._stop = job, meter, stop
        self._fraction = 0.0

    def tick(self, seconds: float, fraction: float) -> None:
        """Report further seconds of audio, and the part of the job that is done.

        Raises:
            Cancelled: if the run was interrupted.
        """
        if self._stop.is_set():
            raise Cancelled
        fraction = min(max(fraction, self._fraction), 1.0)
        self._meter.advance((fraction - self._fraction) * self._job.size, seconds)
        self._fraction = fraction

    def finish(self) -> None:
        """Report the end of the job, well or badly."""
        self._meter.advance((1.0 - self._fraction) * self._job.size, 0.0)
        self._meter.file_done()


class Folders:
    """Makes folders for outputs, and takes back those that stayed empty."""

    def __init__(self) -> None:
        self._made: set[Path] = set()
        self._lock = threading.Lock()

    def make_for(self, target: str) -> None:
        """Make the folder of a file, and those above it.

        Raises:
            OutputError: if that fails.
        """
        from tokaudio.atomic import output_error

        missing = []
        folder = Path(target).parent
        while not folder.is_dir() and folder not in missing:
            missing.append(folder)
            folder = folder.parent
        try:
            for folder in reversed(missing):
                with self._lock, suppress(FileExistsError):
                    folder.mkdir()
                    self._made.add(folder)
        except OSError as error:
            raise output_error(target, error) from error

    def drop_empty(self) -> None:
        """Remove the folders made here that nothing was written to."""
        for folder in sorted(self._made, key=lambda folder: len(folder.parts), reverse=True):
            with suppress(OSError):
                folder.rmdir()


Work = Callable[[Job, Ticker, Folders], Result]


def run_jobs(jobs: Sequence[Job], work: Work, report: Report, *, threads: int = 1) -> float:
    """Do all jobs, add their results and failures to a report, and return the seconds it took.

    A full disk ends the run; what was not tried is counted in the report.

    Raises:
        KeyboardInterrupt: if interrupted, after the unfinished outputs are removed.
    """
    stop, folders = threading.Event(), Folders()
    started = time.perf_counter()
    show = sys.stderr.isatty() and not report.quiet
    with orderly(), meter(report.verb, sum(job.size for job in jobs), len(jobs), show=show) as progress:
        report.write = progress.write

        def one(job: Job) -> Result:
            ticker = Ticker(job, progress, stop)
            try:
                ticker.tick(0.0, 0.0)
                return work(job, ticker, folders)
            finally:
                ticker.finish()

        try:
            with _pool(threads, stop) as pool:
                _collect({pool.submit(one, job): job for job in jobs}, report, stop)
        finally:
            report.write = None
            folders.drop_empty()
    return time.perf_counter() - started


def _collect(futures: dict[Future[Result], Job], report: Report, stop: threading.Event) -> None:
    for future in as_completed(list(futures)):
        job, error = futures.pop(future), future.exception()
        if error is None:
            report.results.append(future.result())
        elif isinstance(error, Cancelled):
            report.not_tried += 1
        else:
            report.fail(job.source, error, job.target)
            if dooms_the_rest(error):
                stop.set()


@contextmanager
def _pool(threads: int, stop: threading.Event) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tokaudio")
    try:
        yield pool
    except BaseException:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for worker in threading.enumerate():
            if worker.name.startswith("tokaudio"):
                worker.join(max(0.0, deadline - time.monotonic()))
                if worker.is_alive():
                    # The interpreter would wait for it.
                    leave()
        raise
    pool.shutdown()
