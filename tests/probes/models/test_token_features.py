"""Vectors of codes: one table, offsets that leave codes alone, and tables of the tokenizer's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.models.token_features import TokenFeatures


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 3), st.integers(0, 5), st.integers(0, 99))
def test_each_code_has_its_own_vector_and_codes_stay_as_they_are(
    sizes: list[int], items: int, frames: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    codes = torch.stack([torch.randint(0, size, (items, frames), generator=random) for size in sizes], dim=1)
    before = codes.clone()
    features = TokenFeatures(sizes, width=3)
    found = features(codes)
    assert torch.equal(codes, before)
    for item in range(items):
        for frame in range(frames):
            for k in range(len(sizes)):
                row = sum(sizes[:k]) + int(codes[item, k, frame])
                assert torch.equal(found[item, frame, k], features.vectors.weight[row])


def test_a_second_pass_over_the_same_codes_gives_the_same_vectors() -> None:
    codes, features = torch.tensor([[[0, 1], [2, 0]]]), TokenFeatures([2, 3], width=4)
    assert torch.equal(features(codes), features(codes))


def test_own_tables_keep_distances_and_sums_over_codebooks() -> None:
    random = torch.Generator().manual_seed(0)
    tables = [torch.randn(5, 6, generator=random), 0.1 * torch.randn(7, 6, generator=random)]
    features = TokenFeatures([5, 7], width=6, tables=tables, trainable=False)
    mine = features.vectors.weight
    scale = torch.pdist(mine[:5]) / torch.pdist(tables[0])
    assert_near(scale, scale[0].expand_as(scale), within=1e-4)
    sums = tables[0][:, None] + tables[1][None]
    found = mine[:5, None] + mine[None, 5:]
    assert_near(torch.pdist(found.flatten(0, 1)), scale[0] * torch.pdist(sums.flatten(0, 1)), within=1e-4)
    assert not mine.requires_grad


def test_narrow_tables_are_filled_up_with_zeros() -> None:
    features = TokenFeatures([4], width=5, tables=[torch.eye(4)[:, :2]])
    assert torch.equal(features.vectors.weight[:, 2:], torch.zeros(4, 3))
    assert features.vectors.weight.requires_grad


@pytest.mark.parametrize(
    ("sizes", "tables", "words"),
    [
        ([], None, "there is no codebook"),
        ([3], [torch.eye(4)], r"tables have \[4\] vectors"),
        ([3, 3], [torch.eye(3), torch.zeros(3, 2)], "all of one width"),
    ],
)
def test_what_does_not_go_together_is_refused(sizes: list[int], tables: list[torch.Tensor] | None, words: str) -> None:
    with pytest.raises(ProbeError, match=words):
        TokenFeatures(sizes, width=4, tables=tables)


def test_other_codebooks_are_refused() -> None:
    with pytest.raises(ProbeError, match="codes have 1 codebooks; give 2"):
        TokenFeatures([2, 2], width=4)(torch.zeros(1, 1, 3, dtype=torch.int64))
