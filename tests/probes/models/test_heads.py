"""Heads: an item scores the same alone and in any batch, whatever lies beyond its end."""

import pytest
import torch
import torch.nn.functional as F

from tests.near import assert_near
from tokaudio.errors import UnknownNameError
from tokaudio.probes.models.fitting import seeded
from tokaudio.probes.models.heads import POOLED_HEADS, AngularMargin, FrameHead, make_head, pooled_statistics
from tokaudio.probes.models.sequence_bodies import BiLstmBody, ConformerBody


@pytest.mark.parametrize("name", POOLED_HEADS)
def test_an_item_scores_the_same_alone_and_in_a_batch_with_noise_behind_it(name: str) -> None:
    with seeded(0):
        head = make_head(name, width=8, outputs=3).eval()
        frames = torch.randn(3, 20, 8)
    lengths = torch.tensor([20, 7, 1])
    frames[1, 7:] = 1e3
    together = head(frames, lengths)
    for item, length in enumerate(lengths.tolist()):
        alone = head(frames[item : item + 1, :length], lengths[item : item + 1])
        assert_near(together[item : item + 1], alone, within=1e-4)
    assert bool(torch.isfinite(together).all())


@pytest.mark.parametrize("name", POOLED_HEADS)
def test_every_parameter_of_a_head_learns_and_slopes_are_finite(name: str) -> None:
    with seeded(0):
        head = make_head(name, width=8, outputs=3)
        loss = F.cross_entropy(head(torch.randn(4, 9, 8), torch.tensor([9, 5, 2, 1])), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    for label, weight in head.named_parameters():
        assert weight.grad is not None, label
        assert bool(torch.isfinite(weight.grad).all()), label


@pytest.mark.parametrize("name", POOLED_HEADS)
def test_outputs_are_a_linear_map_of_what_embed_gives(name: str) -> None:
    with seeded(0):
        head = make_head(name, width=8, outputs=3).eval()
        frames, lengths = torch.randn(2, 9, 8), torch.tensor([9, 5])
    assert_near(head(frames, lengths), head.out(head.embed(frames, lengths)))


@pytest.mark.parametrize("body", [BiLstmBody(8, width=6, stride=2), ConformerBody(8, width=8, stride=2)])
def test_frames_of_a_body_do_not_depend_on_other_items(body: BiLstmBody | ConformerBody) -> None:
    head = FrameHead(body.eval(), 4).eval()
    frames, lengths = torch.randn(2, 11, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([11, 6])
    frames[1, 6:] = 1e3
    together, made = head(frames, lengths)
    alone, own = head(frames[1:, :6], lengths[1:])
    assert made.tolist() == [6, 3] and own.tolist() == [3]
    assert_near(together[1:, :3], alone, within=1e-4)


def test_statistics_are_those_of_the_frames_within() -> None:
    frames = torch.randn(1, 9, 3, generator=torch.Generator().manual_seed(0))
    found = pooled_statistics(frames, torch.tensor([6]))
    assert_near(found[0, :3], frames[0, :6].mean(dim=0))
    assert_near(found[0, 3:], frames[0, :6].std(dim=0, unbiased=False), within=1e-4)


def test_sizes_of_heads_are_fixed() -> None:
    counts = {name: sum(p.numel() for p in make_head(name, width=64, outputs=20).parameters()) for name in POOLED_HEADS}
    assert counts == SIZES


SIZES = {"linear": 1300, "xvector": 55188, "ecapa": 92004, "bilstm": 110228, "conformer": 133588}


def test_a_margin_makes_the_loss_larger_and_none_is_plain_cross_entropy() -> None:
    with seeded(0):
        vectors, classes = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
        plain, harder = AngularMargin(4, 3, margin=0.0, scale=5.0), AngularMargin(4, 3, margin=0.3, scale=5.0)
    harder.centres.data.copy_(plain.centres.data)
    assert_near(plain(vectors, classes), F.cross_entropy(5.0 * plain.cosines(vectors), classes), within=1e-4)
    assert harder(vectors, classes).item() > plain(vectors, classes).item()


def test_an_unknown_head_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match="no head is named 'mlp'; there are linear, xvector"):
        make_head("mlp", width=8, outputs=2)
