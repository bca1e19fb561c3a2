"""Codewords of an optimizer: counted as by hand, revived where they died, and none for vectors that are no numbers."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import FactorizedVectorQuantizer
from tokaudio.quantizers.life import CodeLife


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_counts_are_moving_averages():
    life, wanted = CodeLife(3, decay=0.9, revive_below=0.0), [1.0, 1.0, 1.0]
    for step in range(5):
        index = torch.tensor([0, 0, step % 3])
        assert life.step(torch.zeros(3, 1), torch.zeros(3, 1), index) == 0
        wanted = [0.9 * value + 0.1 * int((index == code).sum()) for code, value in enumerate(wanted)]
    assert_near(life.counts, torch.tensor(wanted))


def test_only_dead_rows_are_written_over_and_live_on():
    life, table = CodeLife(4, revive_below=0.5), torch.full((4, 2), 100.0)
    life.counts[2] = 0.1
    vectors = normal(6, 2)
    assert life.step(table, vectors, torch.tensor([0, 1, 3, 0, 1, 3])) == 1
    assert bool((table[2] == vectors).all(1).any())
    assert table[[0, 1, 3]].eq(100).all() and float(life.counts[2]) > 0.5
    assert life.step(table, vectors, torch.tensor([0, 1, 3, 0, 1, 3])) == 0


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 3e38])
def test_unusable_vectors_change_nothing(bad: float):
    life, table = CodeLife(4, revive_below=2.0), torch.zeros(4, 2)
    vectors = normal(6, 2)
    vectors[3, 1] = bad
    assert life.step(table, vectors, torch.zeros(6, dtype=torch.int64)) == 0
    assert life.step(table, vectors[:0], torch.zeros(0, dtype=torch.int64)) == 0
    assert not table.any() and bool((life.counts == 1).all())


def test_a_factorised_quantizer_is_set_by_its_latents_and_its_dead_codes_come_back():
    torch.manual_seed(0)
    quantizer = FactorizedVectorQuantizer(6, 32, num_codebooks=2, codebook_dim=3)
    before = quantizer.encode(normal(2, 6, 400))
    quantizer.initialise(normal(800, 6, seed=1))
    after = quantizer.encode(normal(2, 6, 400))
    assert len(after[:, 0].unique()) >= len(before[:, 0].unique()) and len(after[:, 0].unique()) > 28
    with torch.no_grad():
        for level in quantizer.levels:
            level.codebook[1:] = level.codebook[:1]
    assert len(quantizer.encode(normal(2, 6, 400))[:, 0].unique()) == 1
    optimizer = torch.optim.Adam(quantizer.parameters(), 1e-3)
    for level in quantizer.levels:
        level.life.decay = 0.9
    for step in range(90):
        latents = normal(2, 6, 100, seed=step)
        out = quantizer.train()(latents)
        optimizer.zero_grad()
        (out.loss + (out.quantized - latents).square().mean()).backward()
        optimizer.step()
    assert all(len(row.unique()) > 26 for row in quantizer.encode(normal(2, 6, 400)).unbind(1))


def test_a_restored_one_goes_on_from_its_counts():
    first, second = (FactorizedVectorQuantizer(6, 16, num_codebooks=2, codebook_dim=3) for _ in range(2))
    first.train()(normal(2, 6, 50))
    second.load_learning_state(first.learning_state())
    assert sorted(first.learning_state()) == ["levels.0.life", "levels.1.life"]
    assert torch.equal(second.levels[1].life.counts, first.levels[1].life.counts)
    assert second.levels[0].life.revivals == first.levels[0].life.revivals
