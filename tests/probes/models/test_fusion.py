"""Streams to one vector for each frame."""

import pytest
import torch

from tests.near import assert_near
from tokaudio.errors import UnknownNameError
from tokaudio.probes.models.fusion import FUSIONS, AttentionFusion, ScalarFusion, make_fusion


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_every_fusion_gives_one_vector_for_each_frame_and_learns(name: str) -> None:
    vectors = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = make_fusion(name, streams=4, width=8)(vectors)
    assert found.shape == (2, 3, 8)
    found.sum().backward()
    assert vectors.grad is not None
    assert bool((vectors.grad.abs().sum(dim=(0, 1, 3)) > 0).all())


def test_attention_is_the_formula_of_dasb_frame_by_frame() -> None:
    torch.manual_seed(1)
    fusion, vectors = AttentionFusion(3, 4), torch.randn(2, 5, 3, 4)
    found = fusion(vectors)
    first, _, last = fusion.score
    assert last.bias is None
    for item in range(2):
        for frame in range(5):
            rows = vectors[item, frame]
            scores = torch.stack([last.weight @ (first.weight @ row + first.bias).relu() for row in rows])[:, 0]
            share = scores.exp() / scores.exp().sum()
            assert_near(found[item, frame], (share[:, None] * rows).sum(dim=0))
            assert_near(fusion.weights[item, frame], share)


def test_weights_can_be_inspected_and_sum_to_one() -> None:
    for fusion in (AttentionFusion(3, 4), ScalarFusion(3, 4)):
        fusion(torch.randn(2, 5, 3, 4))
        assert fusion.weights.shape == (2, 5, 3)
        assert not fusion.weights.requires_grad
        assert_near(fusion.weights.sum(dim=2), torch.ones(2, 5))


def test_an_unknown_fusion_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match="no fusion is named 'max'; there are attention, scalar, mean, concat"):
        make_fusion("max", streams=2, width=4)
