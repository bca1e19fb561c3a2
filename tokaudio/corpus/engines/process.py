"""One worker process: `python -m tokaudio.corpus.engines.process`, started by `tokaudio.corpus.engines.local`.

It reads one line of JSON (what to do) from stdin and writes lines of JSON (how it goes) to stdout. When stdin ends,
whoever started it is gone, and it ends as well: at any moment, as nothing that it leaves behind is taken for whole.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import IO, Any

# Before torch is imported: idle OpenMP threads burn CPU time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

_EVERY_SECONDS = 0.2


class Reporter:
    """Writes how it goes, a few times a second."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._inputs, self._seconds = 0, 0.0
        self._last = time.monotonic()

    def tell(self, line: str, inputs: int, seconds: float) -> None:
        """Report inputs that are done; a failure at once."""
        self._inputs += inputs
        self._seconds += seconds
        if line or time.monotonic() - self._last >= _EVERY_SECONDS:
            self.flush()
        if line:
            self.say(failed=line)

    def flush(self) -> None:
        """Report what was held back."""
        self.say(inputs=self._inputs, seconds=self._seconds)
        self._inputs, self._seconds, self._last = 0, 0.0, time.monotonic()

    def say(self, **facts: Any) -> None:
        """Write one line."""
        self._stream.write(json.dumps(facts) + "\n")
        self._stream.flush()


def _end_with_parent() -> None:
    while os.read(0, 1 << 12):
        pass
    os._exit(1)


def _request() -> dict[str, Any]:
    """Read the first line of stdin, byte by byte, so that nothing of what follows is taken."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(1)
        line += byte
    request: dict[str, Any] = json.loads(line)
    return request


def main() -> int:
    """Work as stdin says, and return the exit code."""
    # What libraries print must not be taken for a report.
    report = Reporter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    request = _request()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        report.say(summary=_work(request, report))
    except BrokenPipeError:
        return 1
    except Exception as error:
        if request["debug"]:
            import traceback

            traceback.print_exception(error)
        number = getattr(error, "errno", None)
        report.say(error=type(error).__name__, text=str(error), errno=number)
        return 1
    return 0


def _work(request: dict[str, Any], report: Reporter) -> dict[str, Any]:
    from dataclasses import asdict

    from tokaudio.corpus.job import Job
    from tokaudio.corpus.options import EncodeOptions
    from tokaudio.corpus.ranks import Rank
    from tokaudio.corpus.worker import Worker

    batch_seconds, readers = request["batch_seconds"], request["readers"]
    options = EncodeOptions.from_document(request["options"], batch_seconds=batch_seconds, readers=readers)
    with Job.open(request["folder"], root=request["root"], source=request["source"]) as job:
        worker = Worker(
            job,
            options,
            Rank(*request["rank"]),
            tell=report.tell,
            broken=request["broken"],
            trying=(lambda key: report.say(trying=key)) if request["careful"] else None,
        )
        summary = asdict(worker.run())
    report.flush()
    return summary


if __name__ == "__main__":
    sys.exit(main())
