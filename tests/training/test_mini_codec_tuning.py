"""The tuning of mini-codec: larger networks start where the smaller ones stood, and learn."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tests.near import assert_near
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralEncoder
from tokaudio.quantizers.residual import ResidualVectorQuantizer
from tokaudio.training.augment import Augmentation
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes.mini_codec_tuning import DEPTHS, SHAPE, Listener, TuningOptions, TuningTraining, grown
from tokaudio.training.reconstruction import SpectralCodecNets

SMALL = SpectralCodecShape(
    hop_length=80, n_fft=160, latent_dim=4, encoder_dim=8, encoder_blocks=1, decoder_dim=8, decoder_blocks=1
)
LARGE = dataclasses.replace(SMALL, decoder_blocks=2, decoder_expansion=2.5)
OPTIONS = TuningOptions(batch=2, crop_frames=20, heard=1, depths=(0.5, 0.5), half=False)


def _nets(shape: SpectralCodecShape, seed: int) -> SpectralCodecNets:
    torch.manual_seed(seed)
    return SpectralCodecNets(shape, ResidualVectorQuantizer(4, 16, num_codebooks=2))


def _training(folder: Path) -> TuningTraining:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
    write_pool(folder, [("a", "demo", noise)], 16_000)
    torch.manual_seed(5)
    listener = Listener(SpectralEncoder(SMALL))
    return TuningTraining(
        _nets(LARGE, 1), listener, AudioPool(folder), options=OPTIONS, augmentation=Augmentation(), hop_length=80
    )


def test_grown_networks_say_what_the_small_ones_said() -> None:
    small = _nets(SMALL, 0)
    large = grown(_nets(LARGE, 1), small.state_dict())
    latents = torch.randn(1, 4, 20)
    assert_near(large.decoder(latents)[:, 240:-240], small.decoder(latents)[:, 240:-240], within=1e-5)
    assert torch.equal(large.quantizer.codebook(1), small.quantizer.codebook(1))


def test_new_blocks_can_learn() -> None:
    large = grown(_nets(LARGE, 1), _nets(SMALL, 0).state_dict())
    large.decoder(torch.randn(1, 4, 20)).square().sum().backward()
    scale = large.decoder.stack.blocks[1].scale
    assert isinstance(scale, torch.nn.Parameter)
    assert scale.grad is not None and bool((scale.grad != 0).all())


def test_the_shipped_shape_keeps_the_limit_of_six_million() -> None:
    nets = SpectralCodecNets(SHAPE, ResidualVectorQuantizer(SHAPE.latent_dim, 1024, num_codebooks=8))
    assert sum(value.numel() for value in nets.state_dict().values()) < 6_000_000
    assert_near(torch.tensor(DEPTHS).sum(), torch.tensor(1.0), within=1e-6)


def test_sound_is_decoded_as_if_nothing_came_before_and_after(tmp_path: Path) -> None:
    training = _training(tmp_path)
    vectors = torch.randn(1, 4, 10)
    around = training.sound(F.pad(vectors, (30, 30)))[:, 30 * 80 : 40 * 80]
    assert_near(training.sound(vectors), around, within=1e-5)
    signal = torch.randn(1, 800)
    assert_near(training.latents(signal), training.latents(F.pad(signal, (800, 800)))[:, :, 10:20], within=1e-5)


def test_equal_sounds_are_heard_as_equal() -> None:
    torch.manual_seed(0)
    listener, signal = Listener(SpectralEncoder(SMALL)), torch.randn(2, 1_600)
    assert_near(listener(signal, signal), torch.tensor(0.0), within=1e-9)
    assert float(listener(signal.flip(1), signal)) > 0.1


def test_a_resumed_training_goes_on_as_if_it_never_stopped(tmp_path: Path) -> None:
    def step(training: TuningTraining, number: int) -> dict[str, float]:
        return training.step(torch.Generator().manual_seed(number), number, 1e-3)

    first = _training(tmp_path)
    step(first, 0)
    second = _training(tmp_path)
    # As from a file: the optimizer would otherwise share its averages.
    second.load_state(copy.deepcopy(first.state()))
    figures = step(first, 1)
    assert figures == step(second, 1)
    assert {"loss", "mel", "listened", "commitment"} <= figures.keys()
    for name, value in first.nets.state_dict().items():
        assert torch.equal(value, second.nets.state_dict()[name]), name
