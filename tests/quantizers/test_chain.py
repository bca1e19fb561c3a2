"""Residual, product and multi-scale quantizers over any inner one, against loops."""

import json

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.errors import CheckpointError, UnknownNameError
from tokaudio.quantizers import (
    MultiScaleQuantizer,
    ProductQuantizer,
    Quantizer,
    ResidualQuantizer,
    ResidualVectorQuantizer,
    make_quantizer,
)

TABLE = {"codebook_size": 16}
INNER = {
    "vq": TABLE,
    "simvq": TABLE,
    "factorized": {**TABLE, "codebook_dim": 3, "num_codebooks": 1},
    "fsq": {"levels": (4, 3)},
    "lfq": {"bits": 4},
    "bsq": {},
    "random-projection": {**TABLE, "codebook_dim": 3},
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def nearest(rest: Tensor, table: Tensor) -> int:
    return min(range(len(table)), key=lambda row: float((rest.double() - table[row].double()).square().sum()))


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("shared", [False, True])
def test_each_level_quantizes_what_is_left(inner: str, shared: bool):
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(
        6, num_codebooks=3, inner=inner, inner_options=INNER[inner], shared=shared, shrink=0.5, seed=2
    )
    assert len(quantizer.levels) == (1 if shared else 3)
    latents = normal(2, 6, 20)
    codes, rest, total = quantizer.encode(latents), latents, torch.zeros_like(latents)
    for index in range(3):
        level = quantizer.levels[0 if shared else index]
        own = level.encode(rest / 0.5**index)
        assert torch.equal(codes[:, index], own[:, 0])
        words = level.decode(own) * 0.5**index
        assert_near(quantizer.codebook(index)[codes[:, index]].transpose(1, 2), words)
        rest, total = rest - words, total + words
        assert_near(quantizer.decode(codes[:, : index + 1]), total)
        assert torch.equal(quantizer.encode(latents, num_codebooks=index + 1), codes[:, : index + 1])


def test_with_vector_quantizers_it_is_the_residual_vector_quantizer_in_training_too():
    whole = ResidualVectorQuantizer(6, 16, num_codebooks=3, decay=0.9, seed=5).train()
    any_inner = ResidualQuantizer(6, num_codebooks=3, inner_options={**TABLE, "decay": 0.9}, seed=5).train()
    for step in range(5):
        latents = normal(4, 6, 30, seed=step)
        depth = torch.tensor([1, 2, 3, 3])
        first, second = whole(latents, num_codebooks=depth), any_inner(latents, num_codebooks=depth)
        assert torch.equal(first.quantized, second.quantized) and torch.equal(first.loss, second.loss)
        assert first.stats.keys() == second.stats.keys()
    state = any_inner.state_dict()
    assert state.keys() == whole.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("inner", INNER)
def test_items_with_fewer_codebooks_are_quantized_with_those(inner: str):
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(6, num_codebooks=3, inner=inner, inner_options=INNER[inner]).eval()
    latents = normal(3, 6, 9)
    out = quantizer(latents, num_codebooks=torch.tensor([1, 3, 2]))
    for item, depth in enumerate((1, 3, 2)):
        alone = quantizer.decode(quantizer.encode(latents[item : item + 1], num_codebooks=depth))
        assert_near(out.quantized[item], alone[0])
    assert torch.equal(out.codes, quantizer.encode(latents))
    one = quantizer(latents, num_codebooks=1)
    assert_near(one.quantized, quantizer.decode(quantizer.encode(latents, num_codebooks=1)))


@pytest.mark.parametrize("inner", ["vq", "simvq", "lfq"])
def test_commitment_of_every_level_reaches_the_latents(inner: str):
    torch.manual_seed(0)
    options = {} if inner == "lfq" else INNER[inner]
    quantizer = ResidualQuantizer(6, num_codebooks=3, inner=inner, inner_options=options, shrink=0.5).eval()
    latents, weights = normal(2, 6, 10).requires_grad_(), normal(2, 6, 10, seed=1)
    gradients = []
    for depth in (1, 3):
        latents.grad = None
        quantizer(latents, num_codebooks=depth).loss.backward()
        gradients.append(latents.grad.clone())
    assert not torch.allclose(gradients[0], gradients[1])
    latents.grad = None
    (quantizer(latents).quantized * weights).sum().backward()
    assert_near(latents.grad, weights)


@pytest.mark.parametrize("inner", INNER)
def test_groups_are_quantized_side_by_side(inner: str):
    torch.manual_seed(0)
    quantizer = ProductQuantizer(12, groups=2, inner=inner, inner_options=INNER[inner])
    latents = normal(2, 12, 7)
    codes = quantizer.encode(latents)
    wanted = [group.encode(part) for group, part in zip(quantizer.groups, latents.chunk(2, dim=1), strict=True)]
    assert torch.equal(codes, torch.cat(wanted, dim=1))
    table = sum(quantizer.codebook(k)[codes[:, k]] for k in range(2))
    assert_near(quantizer.decode(codes), table.transpose(1, 2))
    assert not bool(quantizer.decode(codes[:, :1])[:, 6:].any())


def test_a_product_of_chains_puts_coarse_codes_first():
    quantizer = ProductQuantizer(6, groups=2, inner="rvq", inner_options={**TABLE, "num_codebooks": 3}).train()
    out = quantizer(normal(2, 6, 50))
    assert "perplexity_5" in out.stats and quantizer.strides == (1,) * 6
    codes = quantizer.eval().encode(normal(2, 6, 50))
    for group, part in enumerate(normal(2, 6, 50).chunk(2, dim=1)):
        assert torch.equal(codes[:, group::2], quantizer.groups[group].encode(part))
    out = quantizer(normal(2, 6, 50), num_codebooks=torch.tensor([1, 5]))
    assert_near(out.quantized[0], quantizer.decode(codes[:1, :1])[0])
    assert_near(out.quantized[1], quantizer.decode(codes[1:, :5])[0])


@pytest.mark.parametrize("frames", [12, 11, 1])
def test_slow_levels_quantize_means_of_their_spans(frames: int):
    quantizer = MultiScaleQuantizer(4, strides=(4, 2, 1), inner_options=TABLE)
    quantizer.initialise(normal(400, 4))
    latents = normal(1, 4, frames, seed=1)
    codes, rest = quantizer.encode(latents)[0], latents[0].T.clone()
    for index, stride in enumerate((4, 2, 1)):
        table = quantizer.codebook(index)
        for start in range(0, frames, stride):
            code = nearest(rest[start : start + stride].mean(0), table)
            assert codes[index, start : start + stride].eq(code).all()
            rest[start : start + stride] -= table[code]
    assert_near(latents[0].T - quantizer.decode(codes[None])[0].T, rest)
    assert (quantizer.strides, quantizer.period) == ((4, 2, 1), 4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("residual", {"num_codebooks": 2, "inner": "simvq", "inner_options": TABLE}),
        ("product", {"groups": 2, "inner": "residual", "inner_options": {"num_codebooks": 2, "inner_options": TABLE}}),
        ("multiscale", {"strides": [2, 1], "inner": "fsq", "inner_options": {"levels": [3, 3]}}),
        ("product", {"groups": 2, "inner": "multiscale", "inner_options": {"strides": [2, 1], "inner_options": TABLE}}),
    ],
)
def test_a_configuration_is_plain_json(name: str, options: dict[str, object]):
    torch.manual_seed(0)
    made: Quantizer = make_quantizer(name, {"dim": 8, **options})
    made.initialise(normal(200, 8))
    read = make_quantizer(name, json.loads(json.dumps({"dim": 8, **options})))
    read.load_state_dict(made.state_dict())
    assert torch.equal(read.encode(normal(1, 8, 10)), made.encode(normal(1, 8, 10)))


def test_what_does_not_fit_is_refused():
    for options in ({"num_codebooks": 0}, {"num_codebooks": 2, "shrink": 0.0}):
        with pytest.raises(ValueError, match="num_codebooks must be from 1 and shrink"):
            ResidualQuantizer(4, inner_options=TABLE, **options)
    with pytest.raises(ValueError, match="one codebook; ResidualVectorQuantizer has 2"):
        ResidualQuantizer(4, num_codebooks=2, inner="rvq", inner_options={**TABLE, "num_codebooks": 2})
    with pytest.raises(ValueError, match="groups must divide dim 4, got 3"):
        ProductQuantizer(4, groups=3, inner_options=TABLE)
    with pytest.raises(ValueError, match="strides"):
        MultiScaleQuantizer(4, strides=(0,), inner_options=TABLE)
    with pytest.raises(UnknownNameError, match="'vqq'"):
        ResidualQuantizer(4, num_codebooks=2, inner="vqq")
    with pytest.raises(CheckpointError, match="codebook_size"):
        ResidualQuantizer(4, num_codebooks=2)
