"""A vocoder learns against discriminators: who learns when, what is compared, and that a run goes on bit for bit."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.test_vocoding import make
from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.training.adversarial import Adversary, AdversaryOptions
from tokaudio.training.checkpoint import write_checkpoint
from tokaudio.training.discriminators import Discriminators, DiscriminatorSizes
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes import mini_semantic, mini_semantic_adversary
from tokaudio.training.recipes.mini_semantic import Recipe
from tokaudio.training.vocoding import VocodingOptions
from tokaudio.training.vocoding_adversary import AdversarialVocoding, VocodingAdversaryOptions

JUDGES = DiscriminatorSizes(periods=(2,), period_channels=(4, 4), windows=(64,), spectrum_channels=2, bands=((0, 1),))


def far(estimate: Tensor, target: Tensor) -> Tensor:
    """How far sounds are from each other."""
    return (estimate - target).square().mean()


def training(pool: AudioPool) -> AdversarialVocoding:
    vocoding = make(pool)
    adversary = Adversary(Discriminators(JUDGES), options=AdversaryOptions(kind="least-squares"))
    return AdversarialVocoding(vocoding, adversary, far, options=VocodingAdversaryOptions(alone=1))


def weights(training: AdversarialVocoding) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.vocoding.decoder.state_dict().items()}


def test_discriminators_learn_alone_at_first(pool: AudioPool):
    trained = training(pool)
    before, judged = weights(trained), copy.deepcopy(trained.adversary.judges.state_dict())
    assert sorted(trained.step(torch.Generator().manual_seed(0), 0, 1e-3)) == ["discriminator"]
    assert all(torch.equal(value, before[name]) for name, value in weights(trained).items())
    assert any(not torch.equal(value, judged[name]) for name, value in trained.adversary.judges.state_dict().items())


def test_then_the_decoder_learns_from_all_losses(pool: AudioPool):
    trained, generator = training(pool), torch.Generator().manual_seed(0)
    before = weights(trained)
    figures = [trained.step(generator, step, 3e-3) for step in range(40)]
    assert {"adversarial", "features", "listened", "spectral", "mel", "norm_listened"} <= figures[1].keys()
    assert any(not torch.equal(value, before[name]) for name, value in weights(trained).items())
    spectral = [step["spectral"] for step in figures[1:]]
    assert sum(spectral[-5:]) < 0.9 * sum(spectral[:5])


def test_a_run_goes_on_bit_for_bit(pool: AudioPool):
    trained, generator = training(pool), torch.Generator().manual_seed(0)
    for step in range(2):
        trained.step(generator, step, 1e-3)
    state, drawn = copy.deepcopy(trained.state()), generator.get_state()
    trained.step(generator, 2, 1e-3)
    again = training(pool)
    again.load_state(state)
    generator.set_state(drawn)
    again.step(generator, 2, 1e-3)
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(trained).items())


def test_the_recipe_begins_with_the_averages_of_the_vocoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool):
    shape = SpectralCodecShape(latent_dim=8, encoder_dim=8, encoder_blocks=1, decoder_dim=8, decoder_blocks=1, mels=20)
    recipe = Recipe(tmp_path, shape, mini_semantic.SPEC)
    recipe.codec().save_pretrained(tmp_path / "units")
    monkeypatch.setattr(Recipe, "pool", lambda self: pool)
    np.save(tmp_path / "codes.npy", np.zeros((2, sum(-(-clip.length // 320) for clip in pool.clips)), np.int16))
    decoder = recipe.units().decoder
    averaged = {name: value + 1 for name, value in decoder.named_parameters()}
    write_checkpoint(tmp_path / "run.safetensors", {"trainable": {"net": decoder.state_dict(), "averaged": averaged}})
    started = mini_semantic_adversary.training(
        recipe, tmp_path / "run.safetensors", judges=Discriminators(JUDGES), options=VocodingOptions(batch=1)
    )
    assert torch.equal(started.vocoding.decoder.out.weight, averaged["out.weight"])
    assert started.vocoding.decoder.out.weight.requires_grad and not any(
        value.requires_grad for value in started.listener.parameters()
    )
