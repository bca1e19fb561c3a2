"""What is made from parameters: once, anew after a change, and not for copies."""

from __future__ import annotations

import copy
import pickle

import torch

from tokaudio.nn.kept import Kept


def test_it_follows_the_parameters_and_stays_out_of_copies() -> None:
    kept, weight, made = Kept[torch.Tensor](), torch.randn(3), []

    def make() -> torch.Tensor:
        made.append(weight.clone())
        return 2 * weight

    first = kept.of([weight], make)
    assert kept.of([weight], make) is first and len(made) == 1
    weight.mul_(2)
    assert torch.equal(kept.of([weight], make), 2 * first)
    assert torch.equal(kept.of([weight.clone()], make), 2 * first) and len(made) == 3
    for twin in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert twin._made is None
        assert torch.equal(twin.of([weight], make), 2 * first)


def test_parameters_made_for_inference_are_taken_as_they_are() -> None:
    with torch.inference_mode():
        weight = torch.ones(3)
    kept = Kept[torch.Tensor]()
    first = kept.of([weight], lambda: weight + 1)
    assert kept.of([weight], lambda: weight + 1) is first
