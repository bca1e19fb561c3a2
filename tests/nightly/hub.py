"""The Hub when it fails, on the loopback: `python -m tests.nightly.hub [CASE ...]`.

- kills: fifty downloads that are killed at random moments; after each, the next one succeeds or downloads anew;
- together: two processes that download into one cache, twenty times;
- resumed: a line that goes dead in the middle, and a server that then answers 503;
- changed: a branch that moves, and a file that becomes another one, while a download of the old one is half done;
- wrong: bytes of the right size, cut bodies, and a cached file that is damaged while there is no network;
- read-only: a cache on a disk that cannot be written. Needs the right to mount;
- offline: a hit asks nothing of the network; a miss is answered within two seconds with the command to run.

It prints one line of JSON per case, and ends with 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.corpus.disks import read_only_disk
from tests.hub_server import Hub, serving
from tokaudio.errors import CheckpointError, HubError, TokaudioError
from tokaudio.hub import fetch_folder

NAME, FILES = "some/one", ["config.json", "model.safetensors"]
KILLS, ROUNDS, MISS_SECONDS = 50, 20, 2.0


def content(seed: int) -> dict[str, bytes]:
    """Return the files of a commit: 4 MB of weights."""
    return {"config.json": b'{"seed": %d}' % seed, "model.safetensors": random.Random(seed).randbytes(4_000_000)}


def fetched(cache: Path) -> dict[str, bytes]:
    """Fetch, and return what is then there."""
    folder = fetch_folder(NAME, files=FILES, cache_dir=cache)
    return {name: (folder / name).read_bytes() for name in FILES}


def child(work: Callable[[], object]) -> int:
    """Start a process that does something, and return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except TokaudioError:
            os._exit(3)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return pid


def code(pid: int) -> int:
    """Wait for a process and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kills(hub: Hub, place: Path) -> dict[str, object]:
    """Kill downloads."""
    hub.add(NAME, content(1))
    hub.faults["model.safetensors"] = "slow"
    began = time.monotonic()
    assert fetched(place / "whole") == content(1)
    seconds, moments, wrong, dead = time.monotonic() - began, random.Random(7), [], 0
    for number in range(KILLS):
        cache = place / f"cache-{number % 5}"
        if number % 5 == number // 5 % 5:
            shutil.rmtree(cache, ignore_errors=True)
        pid = child(lambda cache=cache: fetched(cache))  # type: ignore[misc]
        time.sleep(moments.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        dead += code(pid) == -signal.SIGKILL
        if fetched(cache) != content(1):
            wrong.append(f"kill {number}")
        # The next one begins anew every time but now and then, so that kills meet half a download of before.
        for blob in cache.rglob("blobs/*") if number % 3 else ():
            blob.unlink()
            shutil.rmtree(cache / "models--some--one" / "snapshots", ignore_errors=True)
    return {"kills": KILLS, "in time": dead, "wrong": wrong}


def together(hub: Hub, place: Path) -> dict[str, object]:
    """Download by two processes into one cache."""
    hub.add(NAME, content(1))
    hub.faults["model.safetensors"] = "slow"
    wrong = []
    for number in range(ROUNDS):
        cache = place / f"cache-{number}"
        ends = [code(pid) for pid in [child(lambda cache=cache: fetched(cache)) for _ in range(2)]]  # type: ignore[misc]
        if ends != [0, 0] or fetched(cache) != content(1):
            wrong.append(f"round {number}: {ends}")
    return {"rounds": ROUNDS, "wrong": wrong}


def resumed(hub: Hub, place: Path) -> dict[str, object]:
    """Break lines in the middle."""
    hub.add(NAME, content(1))
    wrong = []
    for fault in ("cut once", "cut, then refused"):
        hub.faults["model.safetensors"] = fault
        try:
            right = fetched(place / fault) == content(1)
        except HubError:
            # One refusal may end an attempt, and the next one goes on.
            right = fault != "cut once" and fetched(place / fault) == content(1)
        wrong += [] if right else [fault]
    return {"faults": 2, "wrong": wrong}


def changed(hub: Hub, place: Path) -> dict[str, object]:
    """Move a branch, and change a file while an old download of it is half done."""
    wrong = []
    first = hub.add(NAME, content(1))
    if fetched(place / "moved") != content(1):
        wrong.append("first commit")
    hub.add(NAME, content(2))
    if fetched(place / "moved") != content(2):
        wrong.append("moved branch")
    folder = fetch_folder(NAME, files=FILES, revision=first, cache_dir=place / "moved")
    if (folder / "config.json").read_bytes() != content(1)["config.json"]:
        wrong.append("a commit is what it was")
    hub.faults["model.safetensors"] = "cut"
    try:
        fetched(place / "half")
        wrong.append("half a file was taken")
    except TokaudioError:
        pass
    del hub.faults["model.safetensors"]
    hub.add(NAME, content(3))
    if fetched(place / "half") != content(3):
        wrong.append("half of another file was gone on with")
    return {"changes": 3, "wrong": wrong}


def wrong(hub: Hub, place: Path) -> dict[str, object]:
    """Send other bytes, and damage what is in the cache."""
    hub.add(NAME, content(1))
    found = []
    for fault in ("garbled", "cut"):
        hub.faults["model.safetensors"] = fault
        try:
            fetched(place / fault)
            found.append(f"{fault}: taken")
        except CheckpointError as error:
            # The message names the file that is to be deleted.
            Path(str(error).partition(": ")[0]).unlink()
        except HubError as error:
            found += [] if "model.safetensors" in str(error) else [f"{fault}: {error}"]
        del hub.faults["model.safetensors"]
        if fetched(place / fault) != content(1):
            found.append(f"{fault}: not downloaded again")
    os.environ["HF_HUB_OFFLINE"] = "1"
    blob = max((place / "cut").rglob("blobs/*"), key=lambda path: path.stat().st_size)
    for damage in (blob.read_bytes()[:-1], blob.read_bytes()[:-1] + b"x"):
        blob.write_bytes(damage)
        try:
            fetched(place / "cut")
            found.append("a damaged cache was used without a network")
        except CheckpointError as error:
            found += [] if str(error).startswith(f"{blob}: ") else [str(error)]
    return {"faults": 4, "wrong": found}


def read_only(hub: Hub, place: Path) -> dict[str, object]:
    """Fetch where nothing can be written: from nothing, and what is there already."""
    hub.add(NAME, content(1))
    found = []
    cache = place / "disk"
    with read_only_disk(cache):
        try:
            fetched(cache / "none")
            found.append("wrote")
        except TokaudioError as error:
            found += [] if str(error).isprintable() and "; " in str(error) else [str(error)]
    fetched(place / "cache")
    shutil.copytree(place / "cache", place / "copy", symlinks=True)
    os.environ["HF_HUB_OFFLINE"] = "1"
    with read_only_copy(place / "copy") as mounted:
        if not mounted:
            return {"wrong": ["nothing can be mounted here"]}
        if fetched(place / "copy") != content(1):
            found.append("hit")
    return {"cases": 2, "wrong": found}


class read_only_copy:
    """Mount a folder onto itself, so that it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> bool:
        bind = os.system(f"mount --bind '{self.folder}' '{self.folder}' && mount -o remount,bind,ro '{self.folder}'")
        return bind == 0

    def __exit__(self, *_: object) -> None:
        os.system(f"umount '{self.folder}'")


def offline(hub: Hub, place: Path) -> dict[str, object]:
    """Hit and miss without a network."""
    hub.add(NAME, content(1))
    found = []
    fetched(place / "cache")
    os.environ["HF_HUB_OFFLINE"] = "1"
    asked = len(hub.requests)
    if fetched(place / "cache") != content(1) or len(hub.requests) != asked:
        found.append("hit")
    began = time.monotonic()
    try:
        fetched(place / "none")
        found.append("miss")
    except HubError as error:
        found += [] if "run: hf download some/one config.json model.safetensors" in str(error) else [str(error)]
    if time.monotonic() - began > MISS_SECONDS:
        found.append(f"{time.monotonic() - began:.1f} s")
    return {"cases": 2, "requests": len(hub.requests) - asked, "wrong": found}


Case = Callable[[Hub, Path], dict[str, object]]
CASES: dict[str, Case] = {
    case.__name__.replace("_", "-"): case for case in (kills, together, resumed, changed, wrong, read_only, offline)
}


def main() -> int:
    """Run the cases that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    names, right = parser.parse_args().cases or list(CASES), True
    os.environ |= {"no_proxy": "127.0.0.1,localhost", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    for name in names:
        os.environ.pop("HF_HUB_OFFLINE", None)
        with tempfile.TemporaryDirectory() as place, serving() as hub:
            os.environ["HF_ENDPOINT"] = hub.url
            told = CASES[name](hub, Path(place))
        print(json.dumps({"case": name, **told}), flush=True)
        right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
