"""The teacher that is at hand hears content where it is."""

import torch

from tokaudio.training.semantic_teacher import load_teacher


def test_whisper_hears_silence_and_noise_where_they_are():
    teacher = load_teacher("whisper-tiny.en", layers=(3,), local_files_only=True)
    signal = torch.zeros(1, 16_000)
    signal[:, 8_000:] = 0.1 * torch.randn(8_000, generator=torch.Generator().manual_seed(0))
    features = teacher(signal)
    assert features.shape == (1, 384, 50)
    steps = (features[..., 1:] - features[..., :-1]).norm(dim=1)[0]
    # Silence changes little from frame to frame, noise much.
    assert float(steps[2:22].mean()) < 0.5 * float(steps[26:].mean())
