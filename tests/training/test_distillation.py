"""A student learns what a teacher hears: what it is shown, and that it learns and resumes."""

from pathlib import Path

import pytest
import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.tokenizers.spectral_codec import spectral_encoder
from tokaudio.training.augment import Augmentation
from tokaudio.training.distillation import DistillationOptions, DistillationTraining
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.pool import AudioPool
from tokaudio.training.teacher import frame_starts

HOP = 80
SHAPE = SpectralCodecShape(
    hop_length=HOP,
    n_fft=160,
    latent_dim=4,
    encoder_dim=16,
    encoder_blocks=1,
    mels=20,
)


def features(pool: AudioPool) -> torch.Tensor:
    """Loudness in the first part, in both of its dimensions, and the number of the row in the second."""
    rows = []
    for clip in pool.clips:
        samples = torch.nn.functional.pad(pool.read(clip), (0, -clip.length % HOP))
        rows.append(samples.unflatten(0, (-1, HOP)).square().mean(1).add(1e-4).log10()[:, None].expand(-1, 2))
    loudness = torch.cat(rows)
    return torch.cat([loudness, torch.arange(len(loudness))[:, None].expand(-1, 2)], dim=1)


def make(pool: AudioPool, **options: object) -> DistillationTraining:
    torch.manual_seed(0)
    chosen = {"batch": 3, "crop_frames": 12, "weights": (1.0, 0.0), "half": False, **options}
    return DistillationTraining(
        spectral_encoder(SHAPE, 4_000),
        pool,
        FramesInMemory(features(pool)),
        options=DistillationOptions(**chosen),
        augmentation=Augmentation(plain=1.0),
        hop_length=HOP,
    )


@pytest.mark.parametrize("wanted", [12, 50, 70])
def test_an_example_is_sound_with_surroundings_and_the_features_of_its_frames(pool: AudioPool, wanted: int):
    training = make(pool, crop_frames=wanted)
    edge = training.student.reach * HOP + training.student.context
    for seed in range(8):
        samples, rows, exists = training.example(torch.Generator().manual_seed(seed))
        assert samples.shape == (wanted * HOP + 2 * edge,) and rows.shape == (wanted, 4) and exists.shape == (wanted,)
        count, first = int(exists.sum()), int(rows[0, 2])
        assert bool(exists[:count].all()) and not bool(rows[count:].any())
        number = sum(first >= start for start in training.starts) - 1
        clip = pool.clips[number]
        assert count == min(wanted, training.starts[number + 1] - first)
        start = (first - training.starts[number]) * HOP
        own = pool.read(clip, start, wanted * HOP)
        assert torch.equal(samples[edge : edge + len(own)], own)
        before = pool.read(clip, max(0, start - edge), min(start, edge))
        assert torch.equal(samples[edge - len(before) : edge], before)
        assert not bool(samples[: edge - len(before)].any())


def test_a_student_learns(pool: AudioPool, tmp_path: Path):
    training = make(pool, batch=6)
    losses = [training.step(torch.Generator().manual_seed(n), n, 5e-3)["part0"] for n in range(40)]
    assert sum(losses[-5:]) < 0.2 * sum(losses[:5])


def test_frames_of_the_crop_are_compared_without_their_surroundings(pool: AudioPool, monkeypatch: pytest.MonkeyPatch):
    training = make(pool, batch=1, crop_frames=50)
    reach = training.student.reach
    counted = torch.arange(50.0 + 2 * reach).expand(1, 4, -1)
    monkeypatch.setattr(training.student, "forward", lambda samples: counted + 0 * training.student.out.bias.sum())
    for seed in range(4):
        _, rows, exists = training.example(torch.Generator().manual_seed(seed))
        wanted = (counted[0, 0, reach : reach + 50] - rows[:, 2])[exists].square().mean()
        found = training.step(torch.Generator().manual_seed(seed), 0, 0.0)["part1"]
        assert found == pytest.approx(float(wanted), rel=1e-4)


def test_half_precision_learns_much_the_same(pool: AudioPool):
    first = [make(pool, half=half).step(torch.Generator().manual_seed(0), 0, 1e-3)["loss"] for half in (False, True)]
    assert first[1] == pytest.approx(first[0], rel=0.05)


def test_parts_count_as_much_as_their_weights_say(pool: AudioPool):
    figures = make(pool, weights=(0.5, 2.0)).step(torch.Generator().manual_seed(0), 0, 1e-3)
    assert figures["loss"] == pytest.approx(0.5 * figures["part0"] + 2.0 * figures["part1"], rel=1e-5)


def test_resuming_equals_going_on(pool: AudioPool, tmp_path: Path):
    whole, first, second = make(pool), make(pool), make(pool)
    schedule = Schedule(6, warmup=2)
    Loop(tmp_path / "whole", whole, schedule).run(quiet=True)
    Loop(tmp_path / "parts", first, schedule).run(stop_after=3, quiet=True)
    loop = Loop(tmp_path / "parts", second, schedule)
    assert loop.resume() == 3
    loop.run(quiet=True)
    for name, value in whole.descent.averaged.items():
        assert torch.equal(value, second.descent.averaged[name])


def test_features_of_another_pool_are_refused(pool: AudioPool):
    with pytest.raises(ValueError, match=f"the pool has {frame_starts(pool, HOP)[-1]} frames and the features 5"):
        DistillationTraining(
            spectral_encoder(SHAPE, 4_000),
            pool,
            FramesInMemory(torch.zeros(5, 4)),
            options=DistillationOptions(),
            augmentation=Augmentation(),
            hop_length=HOP,
        )
