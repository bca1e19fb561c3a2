"""Adversarial losses against their formulas, and an adversary that learns."""

import threading

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.training import adversarial
from tokaudio.training.adversarial import (
    Adversary,
    AdversaryOptions,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from tokaudio.training.discriminators import Discriminators, DiscriminatorSizes, Judgement

TINY = DiscriminatorSizes(periods=(2,), period_channels=(4, 6), windows=(32,), spectrum_channels=4, bands=((0.0, 1.0),))


def judgements(seed: int, *, batch: int = 3) -> list[Judgement]:
    random = torch.Generator().manual_seed(seed)
    return [
        Judgement(
            2 * torch.randn(batch, 5, generator=random), [torch.randn(batch, 4, 6, generator=random) for _ in range(2)]
        )
        for _ in range(2)
    ]


def adversary(**options: object) -> Adversary:
    torch.manual_seed(0)
    return Adversary(Discriminators(TINY), options=AdversaryOptions(**options))


def tone(seed: int) -> Tensor:
    phase = 6.28 * torch.rand(4, 1, generator=torch.Generator().manual_seed(seed))
    return torch.sin(torch.arange(160) * 0.3 + phase)


def test_hinge_losses_equal_loops():
    real, fake = judgements(0), judgements(1)
    wanted = made = 0.0
    for r, f in zip(real, fake, strict=True):
        wanted += sum(max(0.0, 1 - s) for s in r.score.flatten().tolist()) / r.score.numel() / 2
        wanted += sum(max(0.0, 1 + s) for s in f.score.flatten().tolist()) / f.score.numel() / 2
        made += sum(max(0.0, 1 - s) for s in f.score.flatten().tolist()) / f.score.numel() / 2
    assert_near(discriminator_loss(real, fake), torch.tensor(wanted))
    assert_near(generator_loss(fake), torch.tensor(made))


def test_least_squares_equal_loops():
    real, fake = judgements(0), judgements(1)
    wanted = made = 0.0
    for r, f in zip(real, fake, strict=True):
        wanted += sum((1 - s) ** 2 for s in r.score.flatten().tolist()) / r.score.numel() / 2
        wanted += sum(s**2 for s in f.score.flatten().tolist()) / f.score.numel() / 2
        made += sum((1 - s) ** 2 for s in f.score.flatten().tolist()) / f.score.numel() / 2
    assert_near(discriminator_loss(real, fake, kind="least-squares"), torch.tensor(wanted))
    assert_near(generator_loss(fake, kind="least-squares"), torch.tensor(made))


@pytest.mark.parametrize("kind", ["hinge", "least-squares"])
def test_discriminators_are_content_when_they_are_right(kind: str):
    right = [Judgement(torch.ones(2, 3), [])], [Judgement(torch.full((2, 3), -1.0 if kind == "hinge" else 0.0), [])]
    assert float(discriminator_loss(*right, kind=kind)) == 0
    assert float(generator_loss(right[0], kind=kind)) == 0
    assert float(generator_loss(right[1], kind=kind)) > 0


def test_feature_matching_is_relative_to_the_level_of_each_layer():
    real, fake = judgements(0), judgements(1)
    louder = [[Judgement(j.score, [1000 * j.features[0], j.features[1]]) for j in side] for side in (real, fake)]
    assert_near(feature_matching_loss(*louder), feature_matching_loss(real, fake))
    assert feature_matching_loss(*louder, relative=False) > 100 * feature_matching_loss(real, fake, relative=False)
    assert float(feature_matching_loss(real, real)) == 0
    zero = [Judgement(torch.zeros(1), [torch.zeros(1, 2)])]
    assert bool(torch.isfinite(feature_matching_loss(zero, zero)))


def test_features_of_recordings_are_a_fixed_target():
    real = [Judgement(j.score, [map.requires_grad_() for map in j.features]) for j in judgements(0)]
    fake = [Judgement(j.score, [map.requires_grad_() for map in j.features]) for j in judgements(1)]
    feature_matching_loss(real, fake).backward()
    assert all(map.grad is None for j in real for map in j.features)
    assert all(bool(map.grad.any()) for j in fake for map in j.features)


def test_wrong_lists_and_kinds_are_refused():
    for call in (
        lambda: discriminator_loss([], []),
        lambda: discriminator_loss(judgements(0), judgements(1)[:1]),
        lambda: generator_loss(judgements(0), kind="wasserstein"),
        lambda: feature_matching_loss([], []),
    ):
        with pytest.raises(ValueError):
            call()


def test_an_adversary_learns_to_tell_tones_from_noise():
    rival = adversary()
    losses = [
        rival.learn(
            tone(step), torch.randn(4, 160, generator=torch.Generator().manual_seed(step)), rate=3e-3, step=step
        )
        for step in range(40)
    ]
    assert losses[0]["discriminator"] > 1.5 and losses[-1]["discriminator"] < 1.0
    noise = torch.randn(4, 160, generator=torch.Generator().manual_seed(99))
    heard = rival.losses(tone(100), noise), rival.losses(tone(100), tone(101))
    assert heard[0]["adversarial"] > heard[1]["adversarial"] and heard[0]["features"] > heard[1]["features"]


def test_what_the_generator_hears_leaves_the_discriminators_alone():
    rival, made = adversary(), tone(0).requires_grad_()
    before = {name: value.clone() for name, value in rival.judges.state_dict().items()}
    sum(rival.losses(tone(1), made).values()).backward()
    assert bool(made.grad.any()) and all(p.grad is None for p in rival.judges.parameters())
    made.grad = None
    rival.learn(tone(1), made, rate=0.01, step=0)
    assert made.grad is None
    assert any(not torch.equal(value, before[name]) for name, value in rival.judges.state_dict().items())


def test_it_learns_at_every_so_many_th_step_and_not_from_nonsense():
    rival = adversary(every=2)
    before = {name: value.clone() for name, value in rival.judges.state_dict().items()}
    assert rival.learn(tone(0), tone(1), rate=0.01, step=1) == {}
    rival.learn(tone(0), torch.full((4, 160), torch.nan), rate=0.01, step=2)
    for name, value in rival.judges.state_dict().items():
        assert torch.equal(value, before[name])


def test_resuming_equals_going_on():
    whole, first, second = adversary(), adversary(), adversary()
    for step in range(4):
        whole.learn(tone(step), tone(-step - 1), rate=0.01, step=step)
        (first if step < 2 else second).learn(tone(step), tone(-step - 1), rate=0.01, step=step)
        if step == 1:
            second.load_state(first.state())
    for name, value in whole.judges.state_dict().items():
        assert torch.equal(value, second.judges.state_dict()[name])


def test_several_processes_take_the_steps_of_one(monkeypatch: pytest.MonkeyPatch):
    """Two threads in the place of processes, which wait for each other wherever they exchange something."""
    alone, both, meeting, said = adversary(), [adversary(), adversary()], threading.Barrier(2, timeout=20), {}
    for rival in (alone, *both):
        # In float32, rounding decides the sign of a gradient near zero, and Adam takes a full step in it.
        rival.judges.double()

    def add_up(tensor: Tensor) -> Tensor:
        said[threading.get_ident()] = tensor
        meeting.wait()
        total = sum(said.values())
        meeting.wait()
        return total

    def learn(rank: int) -> None:
        for step in range(3):
            part = slice(2 * rank, 2 * rank + 2)
            both[rank].learn(tone(step)[part].double(), tone(-step - 1)[part].double(), rate=0.01, step=step)

    for step in range(3):
        alone.learn(tone(step).double(), tone(-step - 1).double(), rate=0.01, step=step)
    monkeypatch.setattr(adversarial, "add_up", add_up)
    monkeypatch.setattr(adversarial, "process_count", lambda: 2)
    threads = [threading.Thread(target=learn, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, value in alone.judges.state_dict().items():
        assert torch.equal(both[0].judges.state_dict()[name], both[1].judges.state_dict()[name])
        assert_near(both[0].judges.state_dict()[name], value, within=1e-6)


def test_they_judge_under_autocast():
    rival, made = adversary(), tone(0).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        figures = rival.learn(tone(1), made, rate=1e-3, step=0)
        losses = rival.losses(tone(1), made)
    assert all(value.dtype == torch.float32 for value in losses.values()) and figures["discriminator"] > 0
    sum(losses.values()).backward()
    assert bool(torch.isfinite(made.grad).all())
