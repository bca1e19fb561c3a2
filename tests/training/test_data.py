"""Data: the same crops cached or from files, by number, whatever came before; broken files are left out and named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.near import assert_near
from tokaudio.audio.manifest import Recording
from tokaudio.training.augment import Augmentation, draw, low_pass
from tokaudio.training.batches import Batches, Crops
from tokaudio.training.data import TRAIN, VALIDATION, is_validation, open_data
from tokaudio.training.pool import AudioPool, FilePool
from tokaudio.training.recipe import DataOptions

PLAIN = DataOptions(batch=4, validation=0.3, augmentation=Augmentation(plain=1.0))
STREAMED = dataclasses.replace(PLAIN, cache_hours=0.0)


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    found = []
    for number in range(8):
        at = np.arange(8_000) / 8_000
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.4 * np.sin(2 * np.pi * (200 + 40 * number) * at), 8_000, subtype="FLOAT")
        found.append(Recording(path, path.name))
    return found


def test_cached_and_streamed_crops_are_alike(recordings, tmp_path: Path):
    cached = open_data(recordings, tmp_path / "cached", 4_000, PLAIN)
    streamed = open_data(recordings, tmp_path / "streamed", 4_000, STREAMED)
    assert type(cached) is AudioPool and type(streamed) is FilePool
    for number in range(6):
        crops = [Crops(pool, PLAIN, 1_000, 0)[number][0].signal for pool in (cached, streamed)]
        assert crops[0].norm() > 1
        # Resampling a part differs from resampling the whole by the resampler's filter and where it begins.
        assert_near(crops[1], crops[0], within=2e-2)


def test_validation_is_kept_out_whatever_else_there_is(recordings, tmp_path: Path):
    pool = open_data(recordings, tmp_path / "all", 4_000, PLAIN)
    sources = {clip.id: clip.source for clip in pool.clips}
    assert set(sources.values()) == {TRAIN, VALIDATION}
    assert all((source == VALIDATION) == is_validation(name, 0.3) for name, source in sources.items())
    generator = torch.Generator().manual_seed(0)
    assert {pool.clips[pool.draw(generator)].source for _ in range(300)} == {TRAIN}


def test_batches_depend_on_their_step_alone_and_are_shared_out(recordings, tmp_path: Path):
    pool = open_data(recordings, tmp_path / "cache", 4_000, PLAIN)
    crops = Crops(pool, dataclasses.replace(PLAIN, augmentation=Augmentation()), 500, 3)
    whole = Batches(crops, 4)
    steps = [whole.at(step) for step in range(3)]
    assert torch.equal(Batches(crops, 4).at(2), steps[2]) and not torch.equal(steps[1], steps[2])
    other = Batches(dataclasses.replace(crops, seed=4), 4)
    assert not torch.equal(other.at(0), steps[0])
    halves = [Batches(crops, 4, rank=rank, world=2) for rank in (0, 1)]
    assert torch.equal(torch.cat([half.at(1) for half in halves]), steps[1])
    joined = torch.cat([batch for half in halves for batch in half.initial(2)])
    assert torch.equal(joined, torch.cat([*whole.initial(2)])) and not torch.equal(joined[:4], steps[0])
    with pytest.raises(ValueError, match="a batch of 4 cannot be shared by 3 processes; make it a multiple"):
        Batches(crops, 4, world=3)


def test_files_that_break_later_are_left_out_and_named_once(recordings, tmp_path: Path):
    pool = open_data(recordings, tmp_path / "cache", 4_000, STREAMED)
    victim = next(clip for clip in pool.clips if clip.source == TRAIN)
    (tmp_path / victim.id).write_bytes(b"gone")
    failures: list[tuple[str, str]] = []
    batches = Batches(Crops(pool, STREAMED, 500, 0), 4, fail=lambda path, line: failures.append((path, line)))
    assert all(batches.at(step).shape == (4, 500) for step in range(8))
    ((path, line),) = failures
    assert Path(path).name == victim.id and line.startswith(f"{path}: ")


def test_a_cache_is_made_once(recordings, tmp_path: Path):
    seen: list[int] = []
    open_data(recordings, tmp_path / "cache", 4_000, PLAIN, tell=lambda done, total: seen.append(done))
    open_data(recordings, tmp_path / "cache", 4_000, PLAIN, tell=lambda done, total: seen.append(-1))
    assert seen == list(range(1, 9))


def test_mixtures_and_low_passes_change_what_is_heard(recordings, tmp_path: Path):
    pool = open_data(recordings, tmp_path / "cache", 4_000, PLAIN)
    flat = {"plain": 0.0, "speed": 1.0, "tilt_db": 0.0, "noise_db": (-200.0, -200.0), "gain_db": (0.0, 0.0)}
    crops = [
        draw(pool, torch.Generator().manual_seed(4), 1_000, Augmentation(**flat, **more))
        for more in ({}, {"mixture": 1.0}, {"bandwidth": 1.0, "cutoff": (0.01, 0.02)})
    ]
    assert [round(float(crop.abs().max()), 2) for crop in crops[:2]] == [1.0] * 2, "levels are set last"
    assert float((crops[0] - crops[1]).norm()) > 0.1 and float((crops[0] - crops[2]).norm()) > 0.1
    noise = torch.randn(4_000, generator=torch.Generator().manual_seed(0))
    energy = torch.fft.rfft(low_pass(noise, 0.5)).abs().square()
    assert float(energy[1150:].sum() / energy.sum()) < 1e-6 < 0.9 < float(energy[:1000].sum() / energy.sum())
