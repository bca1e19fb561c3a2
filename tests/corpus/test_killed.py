"""Jobs that are killed without warning: at each named step, and at random moments. `tests/nightly` has more of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = {"listed", "begun with", "begun", "written", "flushed", "renamed", "synced", "journalled", "compacted"}


def test_whoever_is_killed_wherever_the_result_is_the_same(tmp_path: Path, sounds: Path) -> None:
    command = [sys.executable, "-m", "tests.corpus.killing", str(tmp_path), str(sounds)]
    command += ["--steps", "--random", "30", "--items", "10", "--together", "2", "8"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert set(told["names"]) > STEPS and told["wrong"] == []
    assert told["steps"] >= 18 and told["random"] == 30
