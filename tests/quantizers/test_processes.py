"""Several processes train one codebook; the long run is `python -m tests.quantizers.processes_check`."""

import subprocess
import sys
from pathlib import Path

import torch

from tests.quantizers.processes_check import ITEMS, VARIANTS, parts
from tokaudio.quantizers.processes import add_up, draw_joined, from_first, joined, process_count, process_rank


def test_alone_nothing_is_exchanged():
    vectors = torch.arange(12.0).view(6, 2)
    assert (process_count(), process_rank()) == (1, 0)
    assert all(function(vectors) is vectors for function in (add_up, from_first, joined))
    drawn = draw_joined(vectors, 50, torch.Generator().manual_seed(0))
    wanted = torch.randint(0, 6, (50,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, vectors[wanted])


def test_the_check_gives_unequal_parts_and_empty_ones():
    sizes = [tuple(parts(step, 2)) for step in range(30)]
    assert all(sum(pair) == ITEMS for pair in sizes)
    assert any(0 in pair for pair in sizes) and any(abs(pair[0] - pair[1]) > 3 for pair in sizes)


def test_two_processes_keep_the_codebooks_of_one():
    command = [sys.executable, "-m", "tests.quantizers.processes_check", "--processes", "2", "--steps", "20"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    # Older versions of torch say there, too, that processes are connected.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("[Gloo]")]
    assert [line.split(", ")[0] for line in lines[:-1]] == [f"ok: {name}" for name in VARIANTS]
