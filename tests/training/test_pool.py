"""Audio pools: what is packed comes back; crops come from everywhere, as often as they should."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokaudio.errors import AudioError
from tokaudio.training.pool import AudioPool, write_pool


def ramps(*lengths: int) -> list[tuple[str, str, np.ndarray]]:
    """Clips whose every sample says where it stands: sample i of clip c is (1000 c + i) / 32767."""
    return [(f"clip {c}", f"source {c}", (1000 * c + np.arange(n)) / 32767) for c, n in enumerate(lengths)]


@pytest.fixture
def packed(tmp_path: Path) -> AudioPool:
    write_pool(tmp_path, ramps(900, 100, 400), 8_000)
    return AudioPool(tmp_path)


def test_clips_come_back_to_the_bit(packed: AudioPool):
    for clip, (name, source, samples) in zip(packed.clips, ramps(900, 100, 400), strict=True):
        assert (clip.id, clip.source, clip.length) == (name, source, len(samples))
        assert torch.equal(packed.read(clip), torch.from_numpy(samples.astype(np.float32)))
    assert torch.equal(packed.read(packed.clips[2], 390, 50) * 32767, torch.arange(2390.0, 2400.0))
    assert packed.seconds == 1400 / 8_000


def test_samples_are_rounded_and_clipped(tmp_path: Path):
    write_pool(tmp_path, [("a", "s", np.array([-2.0, -1.0, 0.4 / 32767, 0.6 / 32767, 1.0, 2.0]))], 8_000)
    pool = AudioPool(tmp_path)
    assert (pool.read(pool.clips[0]) * 32767).tolist() == [-32768, -32767, 0, 1, 32767, 32767]


def test_long_clips_are_cropped_anywhere_and_short_ones_surrounded_by_silence(packed: AudioPool):
    generator, starts, offsets = torch.Generator().manual_seed(0), set(), set()
    for _ in range(600):
        crop = (packed.crop(generator, 300) * 32767).round().long()
        assert crop.shape == (300,)
        if int(crop.max()) < 1000 or int(crop.min()) >= 2000:
            assert torch.equal(crop, torch.arange(int(crop[0]), int(crop[0]) + 300))
            starts.add(int(crop[0]))
        else:
            first = int(crop.argmax()) - 99
            assert torch.equal(crop[first : first + 100], torch.arange(1000, 1100))
            assert int((crop != 0).sum()) == 100
            offsets.add(first)
    assert min(starts) < 30 and max(s for s in starts if s < 1000) > 570 and max(starts) > 2080
    assert min(offsets) < 15 and max(offsets) > 185


def test_chances_grow_with_the_root_of_the_length_and_the_weight_of_the_source(tmp_path: Path):
    write_pool(tmp_path, ramps(900, 100, 400), 8_000)
    pool = AudioPool(tmp_path, weights={"source 0": 0.5})
    generator = torch.Generator().manual_seed(0)
    firsts = torch.tensor([float(pool.crop(generator, 50).max() * 32767) for _ in range(3000)])
    counts = torch.histogram(firsts, torch.tensor([0.0, 999.0, 1999.0, 2999.0])).hist / 3000
    torch.testing.assert_close(counts, torch.tensor([15.0, 10.0, 20.0]) / 45, atol=0.04, rtol=0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 1500), st.integers(0, 99))
def test_every_crop_has_its_length_and_repeats_with_its_seed(packed: AudioPool, length: int, seed: int):
    crops = [packed.crop(torch.Generator().manual_seed(seed), length) for _ in range(2)]
    assert crops[0].shape == (length,) and torch.equal(crops[0], crops[1])


def test_writing_again_replaces_and_no_pool_is_an_error(tmp_path: Path):
    write_pool(tmp_path, ramps(900), 8_000)
    write_pool(tmp_path, ramps(10, 20), 4_000)
    assert AudioPool(tmp_path).seconds == 30 / 4_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio.i16", "index.json"]
    with pytest.raises(AudioError, match="holds no audio pool; make one with the recipe's 'prepare' step"):
        AudioPool(tmp_path / "nowhere")


def test_clips_are_drawn_as_often_as_their_weights_say(tmp_path: Path):
    clips = [("a", "often", np.zeros(100, np.float32)), ("b", "never", np.zeros(100, np.float32))]
    write_pool(tmp_path, clips, 8_000)
    pool, generator = AudioPool(tmp_path, weights={"never": 0.0}), torch.Generator().manual_seed(0)
    assert {pool.draw(generator) for _ in range(20)} == {0}
