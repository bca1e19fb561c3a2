"""A child process that does one thing after another under limits: what breaks it, or hangs, costs that thing alone."""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
HANGS_AFTER_SECONDS = 60.0


@dataclass(frozen=True)
class Done:
    """What became of a request.

    Attributes:
        answer: of the child; empty where it gave none.
        broke: how the child ended, or that it hung; empty where it lives on.
        stderr: everything that was written to its file descriptor 2 meanwhile, by whomever.
    """

    answer: dict[str, Any]
    broke: str
    stderr: str


class Limited:
    """A child that runs `python -m MODULE --serve`, and is started again where it breaks.

    Args:
        module: whose `--serve` calls `serve`.
        address_bytes: limit of its address space.
    """

    def __init__(self, module: str, *, address_bytes: int = 4 * 2**30) -> None:
        self._command = [sys.executable, "-m", module, "--serve", str(address_bytes)]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._child: subprocess.Popen[bytes] | None = None
        self.peak_bytes = 0
        self.started = 0

    def ask(self, **request: Any) -> Done:
        """Send one request and wait for its answer."""
        child = self._running()
        before = os.fstat(self._stderr.fileno()).st_size
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()
        line, broke = b"", ""
        if select.select([child.stdout], [], [], HANGS_AFTER_SECONDS)[0]:
            line = child.stdout.readline()
        else:
            broke = f"hung for {HANGS_AFTER_SECONDS:g} s"
            child.kill()
        if not line:
            child.communicate()
            broke, self._child = broke or f"ended with {child.returncode}", None
        answer = json.loads(line) if line else {}
        self.peak_bytes = max(self.peak_bytes, answer.get("peak_bytes", 0))
        return Done(answer, broke, self._said(before))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self.started += 1
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        return self._child

    def _said(self, before: int) -> str:
        # The position belongs to the child as well, so that it is not moved here.
        size = os.fstat(self._stderr.fileno()).st_size
        return os.pread(self._stderr.fileno(), size - before, before).decode(errors="replace")

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        self._stderr.close()


def serve(address_bytes: int, work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer requests from stdin until it ends; called by the child."""
    replies: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (address_bytes, address_bytes))
    for line in sys.stdin.buffer:
        answer = work(json.loads(line))
        replies.write(json.dumps(answer | {"peak_bytes": peak_bytes()}) + "\n")
        replies.flush()


def peak_bytes() -> int:
    """Return the most memory that this process held; `getrusage` would tell that of its parent if it was larger."""
    status = Path("/proc/self/status").read_text().split()
    return 1024 * int(status[status.index("VmHWM:") + 1])
