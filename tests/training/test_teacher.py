"""What a teacher hears: frames of clips, alignment, components."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.near import assert_near
from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers.whisper import WhisperModel
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.teacher import centred_states, components, extract, frame_starts, write_targets


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    torch.manual_seed(0)
    return WhisperModel(WhisperSizes(width=8, layers=2, heads=2, inner=16, positions=60, filled=False)).eval()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> AudioPool:
    folder = tmp_path_factory.mktemp("pool")
    noise = np.random.default_rng(0).normal(scale=0.1, size=4_000).astype(np.float32)
    write_pool(folder, [("a", "s", noise[:1_000]), ("b", "s", noise[:1_280]), ("c", "s", noise[:90])], 16_000)
    return AudioPool(folder)


def test_every_clip_has_as_many_frames_as_a_tokenizer_gives_it(pool: AudioPool, model: WhisperModel, tmp_path: Path):
    assert frame_starts(pool, 320) == [0, 4, 8, 9]
    frames = extract(pool, model, (2, 1), tmp_path)
    assert frames.shape == (9, 16)
    wanted = centred_states(model, pool.read(pool.clips[1]), (2, 1))
    assert_near(frames.take(torch.arange(4, 8)), wanted, within=2e-3)


def test_frames_are_heard_around_the_middle_of_their_hop(model: WhisperModel):
    samples = torch.randn(3_200, generator=torch.Generator().manual_seed(0))
    late = model.hidden_states(samples, (1,))[0].detach()
    early = centred_states(model, torch.nn.functional.pad(samples, (160, 0))[:3_200], (1,))
    plain = centred_states(model, samples, (1,))
    assert early.shape == plain.shape == late.shape
    error, other = (float((found - late)[2:8].square().mean()) for found in (early, plain))
    assert error < 0.1 * other


def test_components_are_those_of_even_dimensions():
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(4_000, 2, generator=draw) @ torch.randn(2, 6, generator=draw)
    rows = (rows + 0.01 * torch.randn(4_000, 6, generator=draw)) * torch.tensor([1e3, 1, 1, 1, 1, 1e-3]) + 5
    offset, matrix = components(FramesInMemory(rows), slice(0, 6), 2)
    got = rows @ matrix + offset
    assert_near(got.mean(0), torch.zeros(2), within=1e-2)
    assert_near(got.var(0).sum(), torch.tensor(2.0), within=1e-2)
    even = (rows - rows.mean(0)) / rows.std(0)
    back = torch.linalg.lstsq(got, even).solution
    assert float((got @ back - even).square().mean()) < 1e-3, "two components hold all there is"


def test_targets_lie_side_by_side(tmp_path: Path):
    rows = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    frames = FramesInMemory(rows)
    written = write_targets(frames, [slice(4, 8), slice(0, 4)], 3, tmp_path)
    assert written.shape == (300, 6)
    offset, matrix = components(frames, slice(0, 4), 3)
    assert_near(written.take(torch.arange(300))[:, 3:], rows[:, :4] @ matrix + offset, within=2e-3)
