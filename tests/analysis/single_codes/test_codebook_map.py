"""Codebooks as maps: neighbours as a plain sort finds them, and planes that keep what can be kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.analysis.single_codes import codebook_map as maps
from tokaudio.analysis.single_codes.codebook_map import codebook_map, neighbours
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import MissingDependencyError


def table(size: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, dim))


def slow_neighbours(vectors: np.ndarray, code: int, count: int) -> list[int]:
    apart = [(float(np.linalg.norm(vector - vectors[code])), other) for other, vector in enumerate(vectors)]
    return [other for _, other in sorted(apart) if other != code][:count]


@settings(max_examples=40)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 99), st.data())
def test_neighbours_equal_a_plain_sort(size: int, dim: int, seed: int, data: st.DataObject) -> None:
    vectors, count = table(size, dim, seed) + 100, data.draw(st.integers(1, size - 1))
    found = neighbours(torch.from_numpy(vectors), count=count)
    assert found.codes.tolist() == [slow_neighbours(vectors, code, count) for code in range(size)]
    wanted = np.linalg.norm(vectors[found.codes] - vectors[:, None], axis=2)
    assert_near(torch.from_numpy(found.distances), torch.from_numpy(wanted), within=1e-9)


def test_equally_near_codes_come_in_order_and_copies_are_neighbours() -> None:
    vectors = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]
    found = neighbours(vectors, count=4)
    assert found.codes[0].tolist() == [4, 1, 2, 3] and found.distances[0].tolist() == [0, 1, 1, 1]


def test_blocks_and_selections_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = table(50, 3)
    whole = neighbours(vectors, count=4)
    monkeypatch.setattr(maps, "_BLOCK", 120)
    again = neighbours(vectors, count=4)
    assert np.array_equal(whole.codes, again.codes)
    some = neighbours(vectors, count=4, of=[7, 3])
    assert np.array_equal(some.codes, whole.codes[[7, 3]]) and some.of.tolist() == [7, 3]
    assert neighbours(vectors, of=np.zeros(0, np.int64)).codes.shape == (0, 5)


def test_a_plane_is_kept_as_it_is() -> None:
    flat = table(30, 2) * [3.0, 1.0]
    turn = np.linalg.qr(table(6, 6, 1))[0][:2]
    found = codebook_map(flat @ turn + 7)
    assert found.explained and sum(found.explained) == pytest.approx(1) and found.explained[0] > found.explained[1]
    apart = [np.linalg.norm(points[:, None] - points, axis=2) for points in (flat, found.points)]
    assert_near(torch.from_numpy(apart[1]), torch.from_numpy(apart[0]), within=1e-9)


def test_the_axes_are_those_of_a_singular_value_decomposition() -> None:
    vectors = table(40, 7)
    found = codebook_map(torch.from_numpy(vectors))
    left, values, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    wanted = (left * values)[:, :2]
    assert_near(torch.from_numpy(np.abs(found.points)), torch.from_numpy(np.abs(wanted)), within=1e-9)
    assert found.explained == pytest.approx((values**2 / np.sum(values**2))[:2].tolist())
    assert np.array_equal(codebook_map(vectors).points, found.points)


def test_turning_all_vectors_round_turns_the_map_round() -> None:
    vectors = table(20, 4)
    assert np.array_equal(codebook_map(-vectors).points, -codebook_map(vectors).points)


def test_weights_are_as_good_as_copies() -> None:
    vectors, times = table(12, 4), np.random.default_rng(1).integers(0, 5, 12)
    weighted = codebook_map(vectors, weights=times)
    copied = codebook_map(np.repeat(vectors, times, axis=0))
    assert_near(
        torch.from_numpy(np.repeat(weighted.points, times, axis=0)), torch.from_numpy(copied.points), within=1e-9
    )
    assert weighted.explained == pytest.approx(copied.explained)


def test_lines_points_and_pairs_have_maps_too() -> None:
    line = codebook_map([[0.0], [2.0]])
    assert line.points.tolist() == [[-1, 0], [1, 0]] and line.explained == (1.0, 0.0)
    assert codebook_map(np.ones((3, 4))).explained == (0.0, 0.0)


UMAP = """
import json, numpy as np
from tokaudio.analysis.single_codes.codebook_map import codebook_map
vectors = np.random.default_rng(0).normal(size=(12, 8)) + 8 * np.repeat([0, 1], 6)[:, None]
one, again = (codebook_map(vectors, method="umap", seed=5) for _ in range(2))
print(json.dumps([one.method, one.explained, one.points.tolist(), (one.points == again.points).all().item()]))
"""


def test_umap_keeps_neighbours_together_and_is_repeatable() -> None:
    # Without numba's compiler, which takes longer than these few points.
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    run = [sys.executable, "-W", "error", "-c", UMAP]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    method, explained, points, equal = json.loads(done.stdout)
    assert (method, explained, equal) == ("umap", None, True)
    places = np.array(points)
    assert places.shape == (12, 2)
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    assert apart[:6, :6].max() < apart[:6, 6:].min() and apart[6:, 6:].max() < apart[:6, 6:].min()


def test_umap_of_few_codes_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give 5 or more, or use 'pca'"):
        codebook_map(table(4, 3), method="umap")


def test_without_umap_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingDependencyError, match="pip install umap-learn"):
        codebook_map(table(9, 3), method="umap")


def test_both_are_json() -> None:
    vectors = table(5, 3)
    assert len(json.loads(json.dumps(neighbours(vectors, count=2).to_dict()))["codes"]) == 5
    assert json.loads(json.dumps(codebook_map(vectors).to_dict()))["method"] == "pca"


@pytest.mark.parametrize(
    ("wrong", "words"), [([1.0], r"\[V, D\]"), ([[1.0]], "two codes or more"), ([[1.0], [np.nan]], "finite vectors")]
)
def test_tables_are_judged(wrong: list[Any], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        neighbours(wrong, count=1)


def test_other_misuse_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give 1 to 3"):
        neighbours(table(4, 2), count=4)
    with pytest.raises(AnalysisError, match="codes that exist"):
        neighbours(table(4, 2), count=1, of=[4])
    with pytest.raises(AnalysisError, match="'pca' or 'umap'"):
        codebook_map(table(4, 2), method="tsne")  # type: ignore[arg-type]
    for weights in ([1, 2], [0, 0, 0, 0], [1, 1, 1, -1]):
        with pytest.raises(AnalysisError, match="give one from 0 on for each"):
            codebook_map(table(4, 2), weights=weights)
