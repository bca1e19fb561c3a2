"""Teachers: shapes, where frames lie, and what is read from disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.near import assert_near
from tests.tokenizers.test_speech_files import made
from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers import Tokenizer
from tokaudio.tokenizers.whisper import WhisperModel
from tokaudio.training import semantic_teacher
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.semantic_teacher import BackboneTeacher, CachedTeacher, TokenizerTeacher, load_teacher
from tokaudio.training.teacher import centred_states, extract, frame_starts


@pytest.fixture(scope="module")
def whisper() -> WhisperModel:
    torch.manual_seed(0)
    return WhisperModel(WhisperSizes(width=8, layers=2, heads=2, inner=16, positions=60, filled=False)).eval()


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_features_are_the_mean_of_layers_frame_by_frame(whisper: WhisperModel):
    teacher, signal = BackboneTeacher(whisper, layers=(1, -1)), noise(2, 1_700)
    found = teacher(signal)
    assert found.shape == (2, teacher.width, 6) and teacher.frame_rate == 50
    states = centred_states(whisper, signal[1], (1, 2))
    assert_near(found[1], ((states[:, :8] + states[:, 8:]) / 2).T)
    assert not found.requires_grad and not found.is_inference()


def test_frames_of_convolutional_backbones_cover_the_signal():
    teacher = BackboneTeacher(made().eval())
    hop, shortest = teacher.backbone.sizes.hop_length, teacher.backbone.sizes.shortest
    for samples in (5 * hop, 5 * hop + 1, 3):
        assert teacher(noise(2, samples)).shape == (2, teacher.width, -(-samples // hop))
    edge = shortest - hop
    signal = noise(5 * hop)
    padded = torch.nn.functional.pad(signal, (edge // 2, edge - edge // 2))
    wanted = teacher.backbone.hidden_states(padded, (teacher.layers[0],))[0]
    assert_near(teacher(signal[None])[0], wanted.T)


def test_any_tokenizer_teaches():
    tokenizer = Tokenizer.from_pretrained("mini-codec")
    teacher, signal = TokenizerTeacher(tokenizer), noise(2, 3_200)
    found = teacher(signal)
    assert found.shape == (2, teacher.width, 10) and teacher.frame_rate == 50
    assert torch.equal(found[1:], tokenizer.features(signal[1], 16_000))
    weight = torch.ones((), requires_grad=True)
    (found * weight).sum().backward()
    assert weight.grad is not None


def test_what_was_written_is_read_crop_by_crop(whisper: WhisperModel, tmp_path: Path):
    samples = noise(3_000).numpy().astype(np.float32)
    write_pool(tmp_path / "pool", [("a", "s", samples[:1_000]), ("b", "s", samples)], 16_000)
    pool = AudioPool(tmp_path / "pool")
    teacher = CachedTeacher(extract(pool, whisper, (2,), tmp_path / "features"), frame_starts(pool, 320))
    features, exists = teacher.read([(1, 0), (1, 8), (0, 9)], 4)
    whole = BackboneTeacher(whisper)(pool.read(pool.clips[1])[None])[0]
    assert_near(features[0], whole[:, :4], within=2e-3)
    assert_near(features[1, :, :2], whole[:, 8:], within=2e-3)
    assert exists.tolist() == [[True] * 4, [True, True, False, False], [False] * 4]
    assert not bool(features[1, :, 2:].any()) and not bool(features[2].any())


def test_a_teacher_is_loaded_by_name_and_short_sounds_stay_short(
    whisper: WhisperModel, monkeypatch: pytest.MonkeyPatch
):
    asked = {}

    def load_backbone(name: str, **options: object) -> WhisperModel:
        asked.update(options, name=name)
        return whisper

    monkeypatch.setattr(semantic_teacher, "load_backbone", load_backbone)
    teacher = load_teacher("whisper-tiny.en", layers=(1,), local_files_only=True)
    assert asked == {"name": "whisper-tiny.en", "filled": False, "local_files_only": True}
    assert teacher.layers == (1,) and not any(p.requires_grad for p in teacher.backbone.parameters())


def test_layers_that_are_not_there_are_refused(whisper: WhisperModel):
    for layers in ((), (3,), (-4,)):
        with pytest.raises(ValueError, match="give some from 0 to 2"):
            BackboneTeacher(whisper, layers=layers)
    with pytest.raises(ValueError, match="the pool has 3 frames"):
        CachedTeacher(FramesInMemory(torch.zeros(2, 1)), [0, 3])
