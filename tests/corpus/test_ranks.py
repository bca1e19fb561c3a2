"""Ranks from the environment, and where each begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.corpus.ranks import Rank, rank_from

ARRAY = {"SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_STEP": "5", "SLURM_ARRAY_TASK_COUNT": "3"}


@pytest.mark.parametrize(
    ("names", "rank"),
    [
        ({}, Rank(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "8", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Rank(3, 8)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Rank(1, 2)),
        ({"SLURM_ARRAY_TASK_ID": "20", **ARRAY}, Rank(2, 3)),
        ({"SLURM_ARRAY_TASK_ID": "15", **ARRAY, "SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, Rank(5, 12)),
        ({"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "5"}, Rank(4, 5)),
        ({"RANK": "nonsense"}, Rank(0, 1)),
        ({"RANK": "9", "WORLD_SIZE": "2"}, Rank(9, 10)),
    ],
)
def test_ranks_are_what_the_environment_says(names: dict[str, str], rank: Rank) -> None:
    assert rank_from(names) == rank


@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 20))
def test_every_process_sees_every_shard(shards: int, count: int, index: int) -> None:
    order = list(Rank(index, count).order(shards))
    assert sorted(order) == list(range(shards))
    firsts = {next(Rank(i, count).order(shards), None) for i in range(count)}
    assert len(firsts) == min(count, shards) or shards == 0


def test_ranks_within_ranks_differ() -> None:
    assert {Rank(i, 3).within(Rank(j, 4)) for i in range(3) for j in range(4)} == {Rank(i, 12) for i in range(12)}
