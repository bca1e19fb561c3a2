"""Heads: what they are asked, what they learn, and what they leave out."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.audio.attributes import energy, mfcc, pitch
from tokaudio.errors import AudioError
from tokaudio.training.heads import Heads, HeadWeights, Targets, measure

RATE = 16_000


def speech_like(seed: int = 0) -> Tensor:
    """Two signals of 0.4 s, each half a buzz and half noise."""
    random = torch.Generator().manual_seed(seed)
    at = torch.arange(3_200) / RATE
    buzz = [sum((6.283 * n * f * at).sin() / n for n in range(1, 5)) for f in (120.0, 210.0)]
    return torch.stack([torch.cat([0.2 * b, 0.02 * torch.randn(3_200, generator=random)]) for b in buzz])


def latents(dim: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(2, dim, 20, generator=torch.Generator().manual_seed(seed))


def labels() -> Targets:
    targets = measure(speech_like(), RATE, 20)
    phones = torch.arange(40).view(2, 20) % 3
    return Targets(targets.pitch, targets.energy, targets.cepstra, phones, torch.tensor([0, 1]))


def test_targets_are_measured_in_the_sound_of_each_item():
    signal = speech_like()
    targets = measure(signal, RATE, 20, speakers=torch.tensor([3, 4]))
    for item in range(2):
        wave = signal[item].numpy()
        hertz = 150 * 2 ** targets.pitch[item]
        found = torch.from_numpy(pitch(wave, RATE, 20, 50))
        voiced = found.isfinite()
        assert torch.equal(voiced, hertz.isfinite()) and 6 <= int(voiced.sum()) <= 11
        assert_near(hertz[voiced], found[voiced], within=1e-4)
        assert_near(20 * targets.energy[item] - 35, torch.from_numpy(energy(wave, RATE, 20, 50)), within=1e-4)
        assert_near(targets.cepstra[item], torch.from_numpy(mfcc(wave, RATE, 20, 50)).T, within=1e-4)
    assert targets.speakers.tolist() == [3, 4] and targets.phones is None


def test_the_loss_is_the_weighted_sum_of_its_parts():
    weights = HeadWeights(pitch=1.0, voicing=2.0, energy=3.0, cepstra=4.0, phones=5.0, speakers=6.0)
    torch.manual_seed(0)
    total, parts = Heads(16, phones=3, speakers=2, weights=weights).loss(latents(), labels())
    assert list(parts) == ["voicing", "pitch", "energy", "cepstra", "phones", "speakers"]
    assert_near(total, sum(getattr(weights, name) * part for name, part in parts.items()))
    assert not any(part.requires_grad for part in parts.values())


def test_each_part_equals_its_formula():
    torch.manual_seed(0)
    heads, targets = Heads(16, phones=3, speakers=2).eval(), labels()
    said, (_, parts) = heads(latents()), heads.loss(latents(), targets)
    voiced = targets.pitch.isfinite()
    assert_near(parts["pitch"], (said["pitch"] - targets.pitch)[voiced].abs().mean())
    odds = said["voicing"].sigmoid()
    assert_near(parts["voicing"], -torch.where(voiced, odds, 1 - odds).log().mean())
    picked = said["phones"].log_softmax(1).gather(1, targets.phones[:, None])
    assert_near(parts["phones"], -picked.mean())
    mean = heads.heads["speakers"](latents().mean(-1, keepdim=True))[..., 0]
    assert_near(parts["speakers"], -mean.log_softmax(1).diagonal().mean())


@pytest.mark.parametrize("hidden", [0, 12])
def test_a_few_steps_lower_every_part(hidden: int):
    torch.manual_seed(0)
    heads, targets, found = Heads(16, phones=3, speakers=2, hidden=hidden), labels(), latents().requires_grad_()
    optimizer = torch.optim.Adam([found, *heads.parameters()], lr=0.05)
    history = []
    for _ in range(30):
        optimizer.zero_grad()
        total, parts = heads.loss(found, targets)
        total.backward()
        optimizer.step()
        history.append(parts)
    for name, value in history[-1].items():
        assert float(value) < 0.6 * float(history[0][name]), name


def test_gradients_reach_the_latent_of_every_head():
    for name in ("pitch", "voicing", "energy", "cepstra", "phones", "speakers"):
        weights = HeadWeights(**{other: float(other == name) for other in HeadWeights.__slots__})
        heads, found = Heads(16, phones=3, speakers=2, weights=weights), latents().requires_grad_()
        total, parts = heads.loss(found, labels())
        total.backward()
        assert list(parts) == [name] and list(heads.heads) == [name] and bool(found.grad.any())


def test_what_nobody_knows_costs_nothing():
    heads = Heads(16, phones=3, speakers=2)
    unlabelled = Targets(phones=torch.full((2, 20), -1), speakers=torch.tensor([-1, -1]))
    total, parts = heads.loss(latents(), unlabelled)
    assert not parts and float(total) == 0
    unvoiced = Targets(pitch=torch.full((2, 20), torch.nan))
    assert set(heads.loss(latents(), unvoiced)[1]) == {"voicing"}


def test_frames_without_a_label_do_not_count():
    torch.manual_seed(0)
    heads, phones = Heads(16, phones=3), torch.zeros(2, 20, dtype=torch.int64)
    phones[:, 10:] = -1
    whole = heads.loss(latents(), Targets(phones=phones))[1]["phones"]
    part = heads.loss(latents()[..., :10], Targets(phones=phones[:, :10]))[1]["phones"]
    assert_near(whole, part)


def test_cepstra_of_all_sizes_have_the_same_say():
    torch.manual_seed(0)
    heads, targets = Heads(16), labels()
    scales = 10.0 ** torch.arange(-2.0, 1.9, 0.1)[:39, None]
    found = heads.loss(latents(), Targets(cepstra=targets.cepstra))[1]["cepstra"]
    scaled = heads.loss(latents(), Targets(cepstra=targets.cepstra * scales * 10))[1]["cepstra"]
    assert_near(scaled, found, within=1e-2)


def test_targets_move_together_and_low_rates_are_refused():
    moved = labels().to("cpu")
    assert moved.phones is not None and Targets().to("cpu").pitch is None
    with pytest.raises(AudioError, match="below a quarter of the sample rate"):
        measure(torch.zeros(1, 800), 1_600, 5)
