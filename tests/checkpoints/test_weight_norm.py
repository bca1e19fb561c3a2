"""Three dialects of weight norm give one weight."""

import pytest
import torch
from torch import nn

from tokaudio.checkpoints import fold_weight_norm, folded_names
from tokaudio.errors import CheckpointError


def layers() -> list[tuple[nn.Module, int]]:
    torch.manual_seed(0)
    convs = [
        nn.Conv1d(3, 5, 4),
        nn.ConvTranspose1d(3, 5, 4),
        nn.Conv1d(1, 1, 1),
        nn.Conv2d(2, 4, (3, 2)),
        nn.Linear(3, 2),
    ]
    return [*((conv, 0) for conv in convs), (nn.Conv1d(4, 6, 7), 2), (nn.Conv1d(4, 1, 1), 0)]


@pytest.mark.parametrize("index", range(7))
def test_folding_gives_the_weight_that_torch_computes_to_the_last_bit(index: int):
    layer, dim = layers()[index]
    layer = nn.utils.parametrizations.weight_norm(layer, dim=dim)
    layer.parametrizations.weight.original0.data.mul_(1.7)
    new = layer.state_dict()
    old = {
        "weight_g": new["parametrizations.weight.original0"],
        "weight_v": new["parametrizations.weight.original1"],
        "bias": new["bias"],
    }
    for dialect in (new, old, {"weight": layer.weight, "bias": layer.bias}):
        folded = fold_weight_norm({f"a.{name}": value.detach() for name, value in dialect.items()})
        assert folded.keys() == {"a.weight", "a.bias"} == folded_names(f"a.{name}" for name in dialect)
        assert torch.equal(folded["a.weight"], layer.weight)


def test_mixed_dialects_half_floats_and_a_norm_over_everything():
    mixed = {
        "a.weight_v": torch.ones(2, 2).half(),
        "b.parametrizations.weight.original0": torch.tensor(2.0),
        "b.parametrizations.weight.original1": torch.ones(2, 2),
        "a.weight_g": torch.ones(2, 1).half(),
        "c.weight": torch.ones(1),
        "d.some_weight_g": torch.ones(1),
    }
    folded = fold_weight_norm(mixed)
    assert folded.keys() == {"a.weight", "b.weight", "c.weight", "d.some_weight_g"}
    assert folded["a.weight"].dtype == torch.float32
    assert torch.equal(folded["b.weight"], torch.ones(2, 2))


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"a.weight_g": torch.ones(2, 1)}, "has tensor 'a.weight_g' without 'a.weight_v'"),
        ({"a.weight_v": torch.ones(2, 2)}, "has tensor 'a.weight_v' without 'a.weight_g'"),
        ({"parametrizations.weight.original1": torch.ones(2)}, "without 'parametrizations.weight.original0'"),
        ({"a.weight_g": torch.ones(3, 1), "a.weight_v": torch.ones(2, 2)}, r"\[3, 1\], which is no norm of \[2, 2\]"),
        ({"weight": torch.ones(2, 2), "weight_g": torch.ones(2, 1), "weight_v": torch.ones(2, 2)}, "'weight' twice"),
    ],
)
def test_halves_that_do_not_fit_are_named(tensors: dict[str, torch.Tensor], problem: str):
    with pytest.raises(CheckpointError, match=f"x.pt: .*{problem}"):
        fold_weight_norm(tensors, where="x.pt")
