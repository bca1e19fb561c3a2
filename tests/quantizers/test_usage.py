"""Usage and collapse: counted by itself, said once where it is true, and nowhere else."""

import copy
import math
import warnings
from collections import Counter

import pytest
import torch
from torch import Tensor

from tokaudio.quantizers import (
    FiniteScalarQuantizer,
    Quantizer,
    ResidualVectorQuantizer,
    SimVectorQuantizer,
    VectorQuantizer,
)
from tokaudio.quantizers.usage import CodebookUsage, CollapseWarning, UsageMeter


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def warned(quantizer: Quantizer, steps: int, *, shift: float = 0.0, scale: float = 1.0) -> list[tuple[int, str]]:
    """Train, and return the steps at which a collapse was said, with what was said."""
    said = []
    for step in range(1, steps + 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            quantizer(scale * normal(2, quantizer.dim, 20, seed=step) + shift)
        said += [(step, str(one.message)) for one in caught if issubclass(one.category, CollapseWarning)]
    return said


def broken(quantizer: Quantizer) -> Quantizer:
    """Set all codebooks from latents that have nothing to do with those of training."""
    quantizer.initialise(normal(400, quantizer.dim, seed=9) + 50)
    return quantizer.train()


BROKEN = {
    "moving averages": lambda: broken(VectorQuantizer(4, 64, revive_below=0.0)),
    "gradient": lambda: broken(VectorQuantizer(4, 64, revive_below=0.0, learning="gradient")),
    "a chain": lambda: broken(ResidualVectorQuantizer(4, 64, num_codebooks=2, revive_below=0.0)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_said_once_within_500_steps(name: str):
    said = warned(BROKEN[name](), 700)
    assert said, "nothing was said"
    assert said[0][0] <= 500
    books = [text.split(" of ")[0] for _, text in said]
    assert max(Counter(books).values()) == 1, "one warning per codebook"
    assert said[0][1].startswith("codebook 0 of ")
    assert "of 64 codes are used after 400 training steps" in said[0][1]
    assert all(word in said[0][1] for word in ("collapsed", "initialise()", "revive_below")) and "\n" not in said[0][1]


def test_latents_that_are_all_alike_are_said_though_codes_are_revived():
    assert warned(VectorQuantizer(4, 64).train(), 400, scale=1e-9, shift=1.0)


HEALTHY = {
    "vq": lambda: VectorQuantizer(4, 64),
    "cosine": lambda: VectorQuantizer(4, 64, metric="cosine"),
    "rvq": lambda: ResidualVectorQuantizer(4, 64, num_codebooks=2, dropout=0.5),
    "simvq": lambda: SimVectorQuantizer(4, 64),
    "fsq": lambda: FiniteScalarQuantizer(4, (4, 4, 4, 3)),
    "fsq of more codes than vectors": lambda: FiniteScalarQuantizer(8, (8,) * 8),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_a_healthy_one(name: str):
    torch.manual_seed(0)
    assert warned(HEALTHY[name]().train(), 500) == []


def test_figures_are_those_of_the_codes():
    quantizer = VectorQuantizer(3, 16).train()
    seen = Counter()
    for step in range(30):
        seen.update(quantizer(normal(2, 3, 10, seed=step)).codes.flatten().tolist())
    found = quantizer.usage()
    shares = [count / 600 for count in seen.values()]
    entropy = -sum(share * math.log(share) for share in shares)
    assert [(one.size, one.vectors, one.used) for one in found] == [(16, 600, len(seen))]
    assert found[0].perplexity == pytest.approx(math.exp(entropy), abs=1e-3)
    assert found[0].share == len(seen) / 16


def test_only_the_last_windows_count():
    meter = UsageMeter("any", (4, 2))
    for step in range(350):
        meter.observe(torch.tensor([[[0 if step < 200 else 3], [1]]]))
    assert meter.usage() == (CodebookUsage(4, 150, 1, 1.0), CodebookUsage(2, 150, 1, 1.0))


def test_missing_codes_and_missing_codebooks_are_not_counted():
    meter = UsageMeter("any", (4, 4, 2**21))
    meter.observe(torch.tensor([[[0, 2, -1], [-1, -1, -1]]]))
    meter.observe(torch.tensor([[[1, 1, -1], [3, 3, -1], [7, 2**21 - 1, -1]]], dtype=torch.int32))
    assert [(one.vectors, one.used) for one in meter.usage()] == [(4, 3), (2, 1), (0, 0)]


def test_even_use_is_what_drawing_evenly_gives():
    generator = torch.Generator().manual_seed(0)
    drawn = [len(torch.randint(0, 50, (80,), generator=generator).unique()) for _ in range(300)]
    assert CodebookUsage(50, 80, 0, 0.0).evenly == pytest.approx(sum(drawn) / 300, abs=0.3)
    assert CodebookUsage(1, 80, 1, 1.0).evenly == 1.0


def test_only_training_counts_and_only_the_outermost_quantizer():
    quantizer = ResidualVectorQuantizer(4, 16, num_codebooks=2)
    quantizer.eval()(normal(2, 4, 10))
    assert [one.vectors for one in quantizer.usage()] == [0, 0]
    quantizer.train()(normal(2, 4, 10))
    quantizer.encode(normal(2, 4, 10))
    assert [one.vectors for one in quantizer.usage()] == [20, 20]
    assert all(one.vectors == 0 for level in quantizer.levels for one in level.usage())
    copied = copy.deepcopy(quantizer)
    copied(normal(2, 4, 10))
    assert (copied.usage()[0].vectors, quantizer.usage()[0].vectors) == (40, 20)


def test_after_an_error_counting_goes_on():
    quantizer = VectorQuantizer(4, 16).train()
    with pytest.raises(ValueError, match="between 1 and 1"):
        quantizer(normal(2, 4, 10), num_codebooks=7)
    quantizer(normal(2, 4, 10))
    assert quantizer.usage()[0].vectors == 20
