"""A small pool and a small training at 4 kHz, so that a step takes milliseconds."""

import numpy as np
import pytest
import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.quantizers import ResidualVectorQuantizer
from tokaudio.training.augment import Augmentation
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.reconstruction import ReconstructionOptions, ReconstructionTraining, SpectralCodecNets


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> AudioPool:
    """Two seconds of a gliding tone with noise, as two clips of two sources."""
    folder = tmp_path_factory.mktemp("pool")
    time = np.arange(8_000) / 4_000
    noise = np.random.default_rng(0).normal(size=8_000)
    tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * time) * time) * (0.6 + 0.4 * np.sin(9 * time)) + 0.01 * noise
    write_pool(folder, [("one", "tones", tone[:5_000]), ("two", "others", tone[5_000:])], 4_000)
    return AudioPool(folder)


@pytest.fixture
def make_training(pool: AudioPool):
    def make(*, continuous_steps: int = 4, plain: float = 0.5, **options: object) -> ReconstructionTraining:
        torch.manual_seed(0)
        sizes = {"latent_dim": 8, "encoder_dim": 24, "encoder_blocks": 1, "decoder_dim": 24, "decoder_blocks": 1}
        shape = SpectralCodecShape(hop_length=80, n_fft=160, **sizes)
        quantizer = ResidualVectorQuantizer(8, 16, num_codebooks=3, dropout=0.3, seed=1)
        chosen = {"batch": 4, "crop_frames": 20, "initial_batches": 3, **options}
        return ReconstructionTraining(
            SpectralCodecNets(shape, quantizer),
            pool,
            options=ReconstructionOptions(continuous_steps=continuous_steps, **chosen),
            augmentation=Augmentation(plain=plain),
            hop_length=80,
        )

    return make
