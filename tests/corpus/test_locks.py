"""Locks between processes, which die with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tokaudio.corpus.locks import Locks

CODE = """
import sys
from tokaudio.corpus.locks import Locks
locks = Locks(sys.argv[1])
print([shard for shard in map(int, sys.argv[2:]) if locks.claim(shard)], flush=True)
sys.stdin.read()
"""


def other(path: Path, *shards: int) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CODE, str(path), *map(str, shards)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)


def test_a_shard_has_one_holder_until_he_lets_go_or_dies(tmp_path: Path) -> None:
    with Locks(tmp_path / "lock") as locks:
        assert locks.claim(0) and locks.claim(7)
        with other(tmp_path / "lock", 0, 1, 2) as process:
            assert process.stdout is not None and process.stdout.readline() == "[1, 2]\n"
            assert not locks.claim(1) and locks.claim(3)
            locks.release(0)
            process.kill()
        assert locks.claim(1) and locks.claim(2)
        with other(tmp_path / "lock", 0, 3) as process:
            assert process.stdout is not None and process.stdout.readline() == "[0]\n"
            process.kill()
    assert (tmp_path / "lock").read_bytes() == b""


def test_the_whole_job_does_not_exclude_shards(tmp_path: Path) -> None:
    with Locks(tmp_path / "lock") as locks, locks.whole(), other(tmp_path / "lock", 0) as process:
        assert process.stdout is not None and process.stdout.readline() == "[0]\n"
        process.kill()
