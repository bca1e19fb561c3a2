"""The same codes on every run, in every process, on any number of threads, in any company, and in any pieces.

`check_tokenizer` shows each of these for a few cases; here are many, of the tokenizers that ship. `tests/nightly` has
all of them.
"""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.contract.everywhere import digests
from tokaudio import Tokenizer, list_tokenizers
from tokaudio.testing._case import sound

ROOT = Path(__file__).parents[2]
# `tests/nightly/everywhere.py` asks for all of them.
RUNS, PROCESSES, EXAMPLES = (int(os.environ.get(f"TOKAUDIO_{name}", "2")) for name in ("RUNS", "PROCESSES", "EXAMPLES"))
CUT_SECONDS = float(os.environ.get("TOKAUDIO_CUT_SECONDS", "32"))


@functools.cache
def loaded(name: str) -> Tokenizer:
    return Tokenizer.from_pretrained(name)


@functools.cache
def clips(name: str) -> tuple[list[Tensor], list[Tensor]]:
    """Return 40 clips `[C, S]` of 1 sample to 0.8 s, and their codes, each encoded alone."""
    spec = loaded(name).spec
    lengths = [1, 2, spec.hop_length, spec.hop_length + 1, *(137 * number**2 + 400 for number in range(9))]
    made = [sound(lengths[n % len(lengths)], spec.sample_rate, channels=spec.channels, seed=n) for n in range(40)]
    return made, [loaded(name).encode(clip).codes[0] for clip in made]


def test_runs_agree() -> None:
    assert all(len(digest.split()) == 1 for digest in digests(RUNS).values())


def test_processes_with_any_number_of_threads_agree() -> None:
    here = "".join(f"{name} {digest}\n" for name, digest in digests().items())
    chance = random.Random(5)
    for number in range(PROCESSES):
        threads = str((4, 8, 2, 1)[number % 4])
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        # Threads that wait do not spin: there may be fewer cores than threads.
        counts |= {"OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": str(chance.randrange(2**32))}
        environment = os.environ | counts
        command = [sys.executable, "-m", "tests.contract.everywhere", threads]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == here, f"process {number} with {threads} threads"


@pytest.mark.parametrize("name", list_tokenizers())
@settings(max_examples=4 * EXAMPLES)
@given(picks=st.lists(st.integers(0, 39), min_size=2, max_size=32), padding=st.integers(0, 48_000))
def test_company_and_padding_change_nothing(name: str, picks: list[int], padding: int) -> None:
    made, wanted = clips(name)
    tokenizer = loaded(name)
    batch = tokenizer.encode([made[pick] for pick in picks])
    for item, pick in zip(batch, picks, strict=True):
        assert torch.equal(item.codes[0], wanted[pick])
    # Up to 3 s behind the longest, filled with a neighbour's sound.
    longest = max(made[pick].shape[1] for pick in picks[:4]) + padding
    padded = sound(longest, tokenizer.spec.sample_rate, channels=tokenizer.spec.channels).repeat(len(picks[:4]), 1, 1)
    for row, pick in zip(padded, picks, strict=False):
        row[:, : made[pick].shape[1]] = made[pick]
    lengths = [made[pick].shape[1] for pick in picks[:4]]
    for item, pick in zip(tokenizer.encode(padded, num_samples=lengths), picks, strict=False):
        assert torch.equal(item.codes[0], wanted[pick])


@pytest.mark.parametrize("name", list_tokenizers())
def test_fifty_cuts_change_nothing(name: str) -> None:
    tokenizer, chance = loaded(name), random.Random(6)
    rate = tokenizer.spec.sample_rate
    assert tokenizer.spec.chunking != "none"
    whole = sound(round(CUT_SECONDS * rate), rate, channels=tokenizer.spec.channels)
    wanted = tokenizer.encode(whole).codes
    for chunk in (1, 5, 30):
        assert torch.equal(tokenizer.encode_blocks(whole.split(chunk * rate, dim=1), rate).codes, wanted)
    short = whole[:, : round(CUT_SECONDS * rate / 20)]
    wanted = tokenizer.encode(short).codes
    for _ in range(50):
        cuts = sorted(chance.sample(range(1, short.shape[1]), chance.randint(1, 12)))
        assert torch.equal(tokenizer.encode_blocks(torch.tensor_split(short, cuts, dim=1), rate).codes, wanted)
