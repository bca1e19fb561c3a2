"""The causal transformer: against a slow twin, in blocks of any length, causal, and blind beyond its window."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn.transformer import CausalTransformer, TransformerLayer, halves_from_pairs, product

DIM, HEADS, WINDOW, LAYERS = 16, 2, 5, 3


def made(layers: int = LAYERS, window: int = WINDOW) -> CausalTransformer:
    torch.manual_seed(0)
    network = CausalTransformer(DIM, layers=layers, heads=HEADS, hidden=24, window=window, layer_scale=0.5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0) if parameter.dim() == 2 else parameter.add_(0.3 * torch.randn(parameter.shape))
    return network.eval().requires_grad_(False)


def steps(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))


def twin(layer: TransformerLayer, x: Tensor) -> Tensor:
    """One layer in float64, one step, one head and one pair of dimensions at a time."""
    width = DIM // HEADS
    normed = [layer.norm1(row) for row in x]
    turned: list[list[Tensor]] = []
    for position, row in enumerate(normed):
        parts = (layer.qkv.weight @ row).view(3, HEADS, width)
        for part in parts[:2]:
            for head in part:
                for i in range(width // 2):
                    angle = position * 10_000.0 ** (-2 * i / width)
                    a, b = float(head[i]), float(head[i + width // 2])
                    head[i] = a * math.cos(angle) - b * math.sin(angle)
                    head[i + width // 2] = b * math.cos(angle) + a * math.sin(angle)
        turned.append(list(parts))
    out = []
    for position, row in enumerate(x):
        heads = []
        for head in range(HEADS):
            near = range(max(0, position - WINDOW + 1), position + 1)
            scores = torch.stack([turned[position][0][head] @ turned[k][1][head] for k in near]) / width**0.5
            heads.append(sum(w * turned[k][2][head] for w, k in zip(scores.softmax(0), near, strict=True)))
        mixed = row + layer.scale1 * (layer.out.weight @ torch.cat(heads))
        inner = layer.up.weight @ layer.norm2(mixed)
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        out.append(mixed + layer.scale2 * (layer.down.weight @ inner))
    return torch.stack(out)


def test_a_slow_twin_agrees():
    network, x = made(), steps(13)
    wanted = x.double()
    for layer in made().double().layers:
        assert isinstance(layer, TransformerLayer)
        wanted = twin(layer, wanted)
    got = network(x.T[None])[0].T
    assert (got - x).abs().mean() > 0.1, "the layers must matter"
    assert_near(got.double(), wanted, within=2e-5)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_blocks_of_any_length_equal_the_whole(lengths: list[int]):
    network, total = made(), sum(lengths)
    x = steps(total)
    stage = network.stage()
    out = [stage(block, last) for block, last in zip(x.split(lengths), [False] * len(lengths), strict=True)]
    assert [len(block) for block in out] == lengths, "nothing waits"
    assert_near(torch.cat(out), network(x.T[None])[0].T)


def test_the_same_blocks_give_the_same_bits():
    network, x = made(), steps(23)
    first, second = (torch.cat([run(part, False) for part in x.split(6)]) for run in (network.stage(), network.stage()))
    assert torch.equal(first, second)


def test_no_step_sees_a_later_one_or_one_beyond_the_windows():
    network, x = made(), steps(30)
    reach = LAYERS * (WINDOW - 1)
    changed = x.clone()
    changed[15] = steps(1, seed=2)[0]
    moved = (network(changed.T[None]) - network(x.T[None]))[0].T.abs().amax(1)
    assert bool((moved[:15] == 0).all())
    assert float(moved[15 + reach]) > 1e-6, "the windows of three layers add up"
    assert float(moved[16 + reach :].max()) < 1e-6


def test_what_a_stage_keeps_does_not_grow():
    network = made()
    stage = network.stage()
    for _ in range(20):
        stage(steps(7), False)
    assert all(past is not None and past.shape == (1, WINDOW - 1, 2, HEADS, DIM // HEADS) for past in stage._past)
    alone = made(window=1)
    out = torch.cat([run(steps(9), True) for run in [alone.stage()]])
    assert_near(out, torch.cat([made(window=1)(row[None].T[None])[0].T for row in steps(9)]))


def test_gradients_reach_every_weight():
    network = made().requires_grad_(True)
    network(steps(8).T[None]).square().mean().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in network.parameters())


def test_batches_are_items():
    network = made()
    x = torch.stack([steps(9, seed).T for seed in (1, 2, 3)])
    together = network(x)
    assert_near(together, torch.cat([network(item[None]) for item in x]))


def test_rows_of_paired_neighbours_become_ours():
    """The scores of queries and keys turned in pairs of neighbours are those of ours, turned in halves."""
    width = DIM // HEADS
    rows = torch.arange(float(DIM))[:, None]
    order = halves_from_pairs(rows, HEADS).flatten().tolist()
    for head in range(HEADS):
        block = order[head * width : (head + 1) * width]
        pairs = list(zip(block[: width // 2], block[width // 2 :], strict=True))
        assert pairs == [(head * width + 2 * i, head * width + 2 * i + 1) for i in range(width // 2)]


@pytest.mark.parametrize(
    ("heads", "window", "problem"), [(3, 4, "heads must divide 16"), (16, 4, "even"), (2, 0, "window must be")]
)
def test_impossible_sizes_are_refused(heads: int, window: int, problem: str):
    with pytest.raises(ValueError, match=problem):
        CausalTransformer(DIM, layers=1, heads=heads, hidden=8, window=window)


def test_linear_layers_keep_their_values_and_their_gradients():
    linear, x = torch.nn.Linear(3, 2, bias=False), torch.randn(2, 5, 3)
    wanted = (x @ linear.weight.T).detach()
    with torch.no_grad():
        assert_near(product(linear, x), wanted)
    assert linear.weight.shape == (2, 3)
    product(linear, x).sum().backward()
    assert_near(linear.weight.grad, x.sum((0, 1)).expand(2, 3))
