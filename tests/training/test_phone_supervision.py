"""A student that learns phones beside its features, and the map to where phones differ."""

from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tests.training.test_distillation import HOP, SHAPE, features
from tokaudio.tokenizers.spectral_codec import spectral_encoder
from tokaudio.training.augment import Augmentation
from tokaudio.training.distillation import DistillationOptions
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.loop import Loop, Schedule
from tokaudio.training.phone_supervision import SupervisedDistillation, SupervisionOptions, discriminant, fold
from tokaudio.training.pool import AudioPool


def make(pool: AudioPool, labels: torch.Tensor, *, weight: float = 0.5) -> SupervisedDistillation:
    torch.manual_seed(0)
    return SupervisedDistillation(
        spectral_encoder(SHAPE, 4_000),
        pool,
        FramesInMemory(features(pool)),
        labels,
        options=DistillationOptions(batch=3, crop_frames=12, weights=(1.0, 0.0), half=False),
        supervision=SupervisionOptions(weight=weight),
        augmentation=Augmentation(plain=1.0),
        hop_length=HOP,
    )


def loud(pool: AudioPool) -> torch.Tensor:
    """Two kinds: whether a frame is loud; and the same the other way round, of every other frame."""
    level = features(pool)[:, 0]
    first = (level > level.median()).long()
    second = 1 - first
    second[::2] = -1
    return torch.stack([first, second], dim=1)


def test_heads_learn_phones(pool: AudioPool):
    training = make(pool, loud(pool), weight=5.0)
    named = [training.step(torch.Generator().manual_seed(n), n, 1e-2)["phones"] for n in range(50)]
    assert sum(named[-10:]) < 0.7 * sum(named[:10])
    assert set(training.descent.averaged) == {name for name, _ in training.net.named_parameters()}


def test_the_supervision_adds_to_the_distillation(pool: AudioPool):
    rows = [make(pool, loud(pool), weight=weight).step(torch.Generator(), 0, 0.0) for weight in (2.0, 0.0)]
    for row, weight in zip(rows, (2.0, 0.0), strict=True):
        assert row["phones"] > 0.3
        assert_near(torch.tensor(row["loss"]), torch.tensor(row["part0"] + weight * row["phones"]))
    assert_near(torch.tensor(rows[0]["part0"]), torch.tensor(rows[1]["part0"]))


def test_frames_without_labels_teach_no_phones(pool: AudioPool):
    training = make(pool, loud(pool))
    got = torch.randn(9, 4)
    wanted = torch.cat([torch.randn(9, 4), torch.full((9, 2), -1.0)], dim=1)
    loss, figures = training._loss(got, wanted)
    assert figures["phones"] == 0
    assert_near(loss.detach(), torch.tensor(figures["part0"]))
    wanted[4, 5] = 1
    named = torch.nn.functional.cross_entropy(training.net.heads[1](got[4:5, :2]), torch.tensor([1]))
    assert_near(torch.tensor(training._loss(got, wanted)[1]["phones"]), named)


def test_training_resumes(pool: AudioPool, tmp_path: Path):
    whole, halves = make(pool, loud(pool)), make(pool, loud(pool))
    Loop(tmp_path / "whole", whole, Schedule(4)).run(quiet=True)
    Loop(tmp_path / "half", halves, Schedule(4)).run(stop_after=2, quiet=True)
    again = make(pool, loud(pool))
    loop = Loop(tmp_path / "half", again, Schedule(4))
    assert loop.resume() == 2
    loop.run(quiet=True)
    for name, value in whole.descent.averaged.items():
        assert_near(again.descent.averaged[name], value)


def test_labels_of_other_frames_are_refused(pool: AudioPool):
    with pytest.raises(ValueError, match="labels of 3"):
        make(pool, torch.zeros(3, 1))


def test_the_map_finds_phones_and_evens_what_is_within_them():
    generator = torch.Generator().manual_seed(0)
    phones = torch.randint(0, 4, (4_000,), generator=generator)
    means = torch.tensor([[0.0, 0, 0], [0, 3, 0], [0, 0, 3], [0, 3, 3]])
    rows = torch.randn(4_000, 3, generator=generator) * torch.tensor([20.0, 1, 2]) + means[phones]
    # The second kind has the same phones by other numbers, in a room that moves everything.
    rows[2_000:] += torch.tensor([500.0, 50.0, 0.0])
    labels = torch.full((4_000, 2), -1)
    labels[:2_000, 0], labels[2_000:, 1] = phones[:2_000], 3 - phones[2_000:]
    offset, matrix = discriminant(rows, labels, 2)
    mapped = rows @ matrix + offset
    assert_near(mapped.mean(0), torch.zeros(2), within=1e-3)
    assert matrix[0].abs().max() < 0.01 * matrix[1:].abs().max()
    parts = [(labels[:, kind] == phone) for kind in (0, 1) for phone in range(4)]
    within = sum(torch.cov(mapped[part].T) * int(part.sum()) for part in parts) / 4_000
    # Shrinkage adds a little to what is found.
    assert_near(within, torch.eye(2), within=0.2)


def test_a_folded_student_gives_what_the_map_makes_of_it():
    torch.manual_seed(0)
    student = spectral_encoder(SHAPE, 4_000).eval()
    sound = torch.randn(1, 20 * HOP + 2 * student.context)
    offset, matrix = torch.randn(1), torch.randn(2, 1)
    with torch.inference_mode():
        before = student(sound)[0].T
        fold(student, offset, matrix)
        after = student(sound)[0].T
    assert_near(after[:, :1], before[:, :2] @ matrix + offset)
    assert not bool(after[:, 1].any()) and torch.equal(after[:, 2:], before[:, 2:])
