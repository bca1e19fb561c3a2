"""Processes that are started here, told what to do by a pipe, and ended with whoever started them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import tokaudio
from tokaudio.corpus.shards import remove_temporaries

_PATIENCE_SECONDS = 2.0


@dataclass
class Team:
    """Processes that run, and what they say; all are ended with the block, whatever happens.

    Args:
        folder: that they work on.

    Attributes:
        processes: by number.
        events: what a process said, with its number; None when it has ended.
    """

    folder: Path
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    events: queue.Queue[tuple[int, dict[str, Any] | None]] = field(default_factory=queue.Queue)
    _listeners: list[threading.Thread] = field(default_factory=list)

    def start(self, index: int, request: dict[str, Any]) -> None:
        """Start a process of a number that none has, or whose process has ended."""
        root = str(Path(tokaudio.__file__).parents[1])
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
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once, as will be seen
        self._listeners.append(threading.Thread(target=self._listen, args=(index, process), daemon=True))
        self._listeners[-1].start()

    def _listen(self, index: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self.events.put((index, json.loads(line)))
        self.events.put((index, None))

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield what processes that have ended had still said."""
        for listener in self._listeners:
            listener.join()
        while not self.events.empty():
            _, event = self.events.get()
            if event is not None:
                yield event

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
            remove_temporaries(self.folder, process=str(process.pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
