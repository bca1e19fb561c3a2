"""Predicted tokens: the order of sources does not matter, planted rules are learnt, codebooks know what was chosen."""

import pytest
import torch

from tokaudio.probes.generative.predictor import WIDTH, TokenOutputs, TokenPredictor, best_order
from tokaudio.probes.models.fitting import seeded
from tokaudio.probes.models.inputs import CodeFront


def _model(sources: int = 1) -> TokenPredictor:
    return TokenPredictor(CodeFront([6, 6], width=WIDTH, fusion="mean"), [6, 6], sources=sources)


def _fitted(model: TokenPredictor, heard: torch.Tensor, targets: torch.Tensor, steps: int = 60) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    lengths = torch.full((len(heard),), heard.shape[2])
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.losses(heard, lengths, targets).mean()
        loss.backward()
        optimizer.step()
    model.eval()
    return float(model.losses(heard, lengths, targets).mean().detach())


def test_a_planted_rule_is_learnt() -> None:
    with seeded(0):
        model, heard = _model(), torch.randint(0, 6, (4, 2, 30))
        targets = torch.stack([(heard[:, 0] + 1) % 6, heard[:, 1] // 2 * 2], dim=1)
        _fitted(model, heard, targets[:, None])
        other = torch.randint(0, 6, (4, 2, 20))
        found = model.predict(other, torch.full((4,), 20))[:, 0]
    assert (found[:, 0] == (other[:, 0] + 1) % 6).float().mean() > 0.95
    assert (found[:, 1] == other[:, 1] // 2 * 2).float().mean() > 0.95


def test_the_loss_is_that_of_the_better_order() -> None:
    with seeded(0):
        model, heard = _model(2).eval(), torch.randint(0, 6, (3, 2, 9))
        targets, lengths = torch.randint(0, 6, (3, 2, 2, 9)), torch.tensor([9, 5, 2])
        one, other = (model.losses(heard, lengths, turned) for turned in (targets, targets.flip(1)))
    torch.testing.assert_close(one, other)


def test_sources_that_change_places_are_learnt_and_told_apart() -> None:
    with seeded(0):
        model, heard = _model(2), torch.randint(0, 6, (8, 2, 12))
        targets = torch.stack([heard[:, :1].expand(-1, 2, -1), heard[:, 1:].expand(-1, 2, -1)], dim=1)
        places = torch.randint(0, 2, (8,)).bool()
        swapped = torch.where(places[:, None, None, None], targets.flip(1), targets)
        left = _fitted(model, heard, swapped)
        found = model.predict(heard, torch.full((8,), 12))
    assert left < 0.1
    straight = [(found == turned).float().mean() for turned in (targets, targets.flip(1))]
    assert max(straight) > 0.97 and min(straight) < 0.5


def test_the_best_order_is_chosen_for_each_item() -> None:
    cost = torch.tensor([[[1.0, 9.0], [9.0, 1.0]], [[9.0, 1.0], [1.0, 9.0]]])
    assert best_order(cost).tolist() == [1.0, 1.0]
    three = torch.full((3, 3, 1), 5.0)
    three[0, 1], three[1, 2], three[2, 0] = 0.0, 1.0, 2.0
    assert best_order(three).tolist() == [1.0]


def test_frames_beyond_the_end_change_nothing() -> None:
    with seeded(0):
        model = _model().eval()
        heard, targets = torch.randint(0, 6, (1, 2, 30)), torch.randint(0, 6, (1, 1, 2, 30))
        long = model.losses(heard, torch.tensor([7]), targets)
        short = model.losses(heard[..., :7], torch.tensor([7]), targets[..., :7])
    torch.testing.assert_close(long, short)


def test_later_codebooks_know_what_was_chosen_before_them() -> None:
    with seeded(0):
        outputs, codes = TokenOutputs([4, 4], width=16), torch.randint(0, 4, (64, 1)).expand(-1, 2)
        optimizer = torch.optim.AdamW(outputs.parameters(), lr=1e-2)
        for _ in range(200):
            optimizer.zero_grad()
            outputs.nats(torch.zeros(64, 16), codes).sum(dim=1).mean().backward()
            optimizer.step()
        nats = outputs.nats(torch.zeros(64, 16), codes).mean(dim=0).tolist()
    assert nats[0] == pytest.approx(torch.tensor(4.0).log().item(), abs=0.1)
    assert nats[1] < 0.05
