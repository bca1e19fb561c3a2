"""Jobs that are killed: children of a process that has everything loaded, so that a death costs milliseconds.

Run as a program, it prints what it did, as one line of JSON, and ends with 1 where a resumed job is not what it should
be: `python -m tests.corpus.killing FOLDER SOUNDS --random 30 --steps`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.corpus.support import tree
from tests.corpus.toy import loudness
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.corpus.worker import Worker
from tokaudio.storage.formats import ShardFormat, shard_format

Step = Callable[[str], None]


def passing(name: str) -> None:
    """Take note of a step, and live on."""


class Victims:
    """A job that can be run by children.

    Args:
        folder: to work in.
        sounds: the inputs.
        tokenize: loaded here, so that children have it.
        items: inputs per shard.
        form: of the shards.
    """

    def __init__(self, folder: Path, sounds: Path, tokenize: TokenizeBatch, items: int, form: ShardFormat) -> None:
        self.out, self.sounds, self.tokenize, self.items, self.form = folder / "out", sounds, tokenize, items, form
        tokenize.load()
        # What a first call imports, and what a whole run gives and takes.
        self.names: Counter[str] = Counter()
        self._run(lambda name: self.names.update([name]))
        self.wanted = tree(self.out)
        shutil.rmtree(self.out)
        began = time.monotonic()
        assert self.child().wait() == 0
        self.seconds = time.monotonic() - began
        assert tree(self.out) == self.wanted

    def _run(self, step: Step) -> None:
        with Job.prepare(self.sounds, self.out, sharding=Sharding(items=self.items), step=step) as job:
            Worker(job, EncodeOptions(self.tokenize, self.form)).run()

    def child(self, step: Step = passing) -> Child:
        """Start a child that runs the job."""
        pid = os.fork()
        if pid == 0:
            try:
                self._run(step)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        return Child(pid)

    def fresh(self) -> None:
        """Begin anew."""
        shutil.rmtree(self.out, ignore_errors=True)

    def together(self, count: int) -> bool:
        """Return whether so many processes at once, of which one is killed, do the job once and rightly."""
        self.fresh()
        children = [self.child() for _ in range(count)]
        time.sleep(self.seconds / 4)
        os.kill(children[0].pid, signal.SIGKILL)
        ends = {child.wait() for child in children[1:]}
        children[0].wait()
        return ends == {0} and tree(self.out) == self.wanted

    def killed_at(self, name: str, count: int) -> bool:
        """Return whether a job whose process dies at the count-th step of a name comes out right when it is resumed."""
        left = [count]

        def step(reached: str) -> None:
            left[0] -= reached == name
            if left[0] == 0 and reached == name:
                os.kill(os.getpid(), signal.SIGKILL)

        self.fresh()
        assert self.child(step).wait() == -signal.SIGKILL, f"{name} was not reached {count} times"
        return self.resumed()

    def killed_after(self, seconds: float) -> tuple[bool, bool]:
        """Return whether a job comes out right that is killed after a time, and whether that was in time."""
        self.fresh()
        child = self.child()
        time.sleep(seconds)
        os.kill(child.pid, signal.SIGKILL)
        return child.wait() == -signal.SIGKILL, self.resumed()

    def resumed(self) -> bool:
        """Go on to the end, and return whether every byte is as it should be."""
        return self.child().wait() == 0 and tree(self.out) == self.wanted


class Child:
    """A process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> int:
        """Return its exit code, or minus the number of the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def occurrences(total: int) -> list[int]:
    """Return the first, a middle and the last of so many."""
    return sorted({1, (total + 1) // 2, total})


def main() -> int:
    """Kill as the arguments say."""
    parser = argparse.ArgumentParser()
    for name in ("folder", "sounds"):
        parser.add_argument(name)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--together", type=int, nargs="*", default=[])
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--form", default="parquet")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    victims = Victims(Path(given.folder), Path(given.sounds), loudness(), given.items, shard_format(given.form))
    wrong: list[str] = []
    steps = deaths = 0
    for name, total in victims.names.items() if given.steps else ():
        for count in occurrences(total):
            steps += 1
            if not victims.killed_at(name, count):
                wrong.append(f"{name} {count}")
    moments = random.Random(given.seed)
    for trial in range(1, given.random + 1):
        seconds = moments.uniform(0, 1.05 * victims.seconds)
        killed, right = victims.killed_after(seconds)
        deaths += killed
        if not right:
            wrong.append(f"after {seconds:.3f} s")
        print(f"{trial} killed, {len(wrong)} wrong", file=sys.stderr, flush=True)
    wrong += [f"{count} processes" for count in given.together if not victims.together(count)]
    names = sorted(victims.names)
    done = {"steps": steps, "names": names, "random": given.random, "in time": deaths, "seconds": victims.seconds}
    print(json.dumps(done | {"files": len(victims.wanted), "wrong": wrong}))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
