"""The adversarial tuning of mini-codec: codes stay, the decoder learns, and a run goes on where it stood."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralEncoder
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.training.augment import Augmentation
from tokaudio.training.balancer import GradientBalancer
from tokaudio.training.checkpoint import write_checkpoint
from tokaudio.training.discriminators import Discriminators, DiscriminatorSizes
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes import mini_codec_adversary
from tokaudio.training.recipes.mini_codec_adversary import AdversarialTuning, AdversaryTuningOptions, tuned_weights
from tokaudio.training.recipes.mini_codec_tuning import Listener
from tokaudio.training.reconstruction import SpectralCodecNets

SHAPE = SpectralCodecShape(
    hop_length=80, n_fft=160, latent_dim=4, encoder_dim=8, encoder_blocks=1, decoder_dim=8, decoder_blocks=1
)
JUDGES = DiscriminatorSizes(periods=(2,), period_channels=(4, 4), windows=(64,), spectrum_channels=2, bands=((0, 1),))
OPTIONS = AdversaryTuningOptions(batch=2, crop_frames=24, alone=1, depths=(0.5, 0.5), half=False)


def _nets() -> SpectralCodecNets:
    torch.manual_seed(1)
    nets = SpectralCodecNets(SHAPE, ResidualVectorQuantizer(4, 16, num_codebooks=2))
    nets.quantizer.initialise(torch.randn(200, 4))
    return nets


@pytest.fixture
def tuning(tmp_path: Path) -> AdversarialTuning:
    noise = 0.1 * np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    write_pool(tmp_path / "pool", [("a", "demo", noise)], 16_000)
    nets, listener = _nets(), Listener(SpectralEncoder(SHAPE))
    return AdversarialTuning(
        nets,
        listener,
        AudioPool(tmp_path / "pool"),
        Discriminators(JUDGES),
        options=OPTIONS,
        augmentation=Augmentation(),
        hop_length=80,
    )


def _weights(tuning: AdversarialTuning) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in tuning.nets.state_dict().items()}


def test_discriminators_learn_alone_at_first(tuning: AdversarialTuning) -> None:
    before, judged = _weights(tuning), copy.deepcopy(tuning.adversary.judges.state_dict())
    assert sorted(tuning.step(torch.Generator().manual_seed(0), 0, 1e-3)) == ["discriminator"]
    assert all(torch.equal(value, before[name]) for name, value in tuning.nets.state_dict().items())
    assert any(not torch.equal(value, judged[name]) for name, value in tuning.adversary.judges.state_dict().items())


def test_only_the_decoder_learns_so_that_codes_stay(tuning: AdversarialTuning) -> None:
    before, generator = _weights(tuning), torch.Generator().manual_seed(0)
    for step in range(3):
        figures = tuning.step(generator, step, 1e-3)
    assert {"adversarial", "features", "listened", "spectral", "mel", "norm_spectral"} <= figures.keys()
    changed = {name for name, value in tuning.nets.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name, _ in tuning.nets.named_parameters() if name.startswith("decoder.")}


def test_the_loss_on_phases_is_asked_for(tuning: AdversarialTuning) -> None:
    assert "phase" not in tuning.step(torch.Generator().manual_seed(0), 1, 1e-3)
    tuning.options = dataclasses.replace(OPTIONS, shares=mini_codec_adversary.SHARES | {"phase": 0.5})
    tuning.balancer = GradientBalancer(tuning.options.shares)
    assert {"phase", "norm_phase"} <= tuning.step(torch.Generator().manual_seed(0), 1, 1e-3).keys()


def test_items_use_as_many_codebooks_as_were_drawn(tuning: AdversarialTuning) -> None:
    signal = torch.randn(2, 24 * 80)
    codes = tuning.nets.quantizer.encode(tuning.nets.encode(signal))
    for depths, count in (((1.0, 0.0), 1), ((0.0, 1.0), 2)):
        tuning.depths = torch.tensor(depths)
        found = tuning.quantized(signal, torch.Generator().manual_seed(0))
        assert torch.equal(found, tuning.nets.quantizer.decode(codes[:, :count]))


def test_a_run_goes_on_bit_for_bit(tuning: AdversarialTuning, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for step in range(2):
        tuning.step(generator, step, 1e-3)
    state, drawn = copy.deepcopy(tuning.state()), generator.get_state()
    tuning.step(generator, 2, 1e-3)
    wanted = _weights(tuning)
    again = AdversarialTuning(
        _nets(),
        tuning.listener,
        tuning.pool,
        Discriminators(JUDGES),
        options=OPTIONS,
        augmentation=Augmentation(),
        hop_length=80,
    )
    again.load_state(state)
    generator.set_state(drawn)
    again.step(generator, 2, 1e-3)
    assert all(torch.equal(value, wanted[name]) for name, value in again.nets.state_dict().items())


def test_what_is_exported_is_the_averaged_decoder_beside_what_did_not_change(
    tuning: AdversarialTuning, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        tuning.step(generator, step, 1e-2)
    state: dict[str, Any] = {"done": 4, "trainable": tuning.state()}
    write_checkpoint(tmp_path / "run.safetensors", state)
    found, now = tuned_weights(tmp_path / "run.safetensors"), tuning.nets.state_dict()
    assert found.keys() == now.keys()
    assert all(torch.equal(value, now[name]) for name, value in found.items() if not name.startswith("decoder."))
    averaged = tuning.descent.averaged
    assert all(torch.equal(found[f"decoder.{name}"], value) for name, value in averaged.items())
    assert any(not torch.equal(value, now[name]) for name, value in found.items())


def test_a_run_starts_from_the_averages_of_the_tuning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mini_codec_adversary, "SHAPE", SHAPE)
    monkeypatch.setattr(mini_codec_adversary, "quantizer", lambda: ResidualVectorQuantizer(4, 16, num_codebooks=2))
    nets = _nets()
    averaged = {name: value + 1 for name, value in nets.decoder.named_parameters(prefix="decoder")}
    saved = {"trainable": {"net": nets.state_dict(), "averaged": averaged}}
    write_checkpoint(tmp_path / "run.safetensors", saved)
    found = mini_codec_adversary.start(tmp_path / "run.safetensors").state_dict()
    assert torch.equal(found["decoder.out.weight"], averaged["decoder.out.weight"])
    assert torch.equal(found["encoder.out.weight"], nets.encoder.out.weight)
