"""What every quantizer has without doing anything for it: its learning state by module name, and nothing to set."""

import pytest
import torch
from torch import Tensor

from tokaudio.errors import CheckpointError
from tokaudio.quantizers import (
    FiniteScalarQuantizer,
    Quantizer,
    ResidualVectorQuantizer,
    SplitResidualVectorQuantizer,
    VectorQuantizer,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def split() -> SplitResidualVectorQuantizer:
    return SplitResidualVectorQuantizer(6, 16, num_codebooks=3, codebook_dim=4, decay=0.9, revive_below=0.1)


def test_a_quantizer_with_nothing_to_set_or_to_keep_says_so():
    quantizer = FiniteScalarQuantizer(3, (8, 5, 5))
    quantizer.initialise(normal(10, 3))
    assert quantizer.learning_state() == {}
    quantizer.load_learning_state({})


def test_learning_state_names_every_codebook_and_is_a_copy():
    quantizer = split().train()
    quantizer(normal(2, 6, 40))
    state = quantizer.learning_state()
    assert sorted(state) == [
        "acoustic.chain.levels.0.book",
        "acoustic.chain.levels.1.book",
        "semantic.chain.levels.0.book",
    ]
    before = {name: value["counts"].clone() for name, value in state.items()}
    quantizer(normal(2, 6, 40, seed=1))
    assert all(torch.equal(value["counts"], before[name]) for name, value in state.items())


def test_a_restored_quantizer_goes_on_as_if_nothing_had_happened():
    def train(quantizer: Quantizer, steps: range) -> Quantizer:
        for step in steps:
            quantizer(normal(2, 6, 30, seed=step))
        return quantizer

    torch.manual_seed(0)
    half = train(split().train(), range(5))
    resumed = split().train()
    resumed.load_state_dict(half.state_dict())
    resumed.load_learning_state(half.learning_state())
    train(half, range(5, 10))
    train(resumed, range(5, 10))
    wanted = dict(half.named_buffers())
    assert all(torch.equal(value, wanted[name]) for name, value in resumed.named_buffers())


def test_the_state_of_other_codebooks_is_refused():
    state = ResidualVectorQuantizer(4, 8, num_codebooks=2).learning_state()
    with pytest.raises(CheckpointError, match=r"'levels.1.book'\], but this quantizer has \['book'\]; load"):
        VectorQuantizer(4, 8).load_learning_state(state)
