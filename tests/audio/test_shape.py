"""The one place that judges ranks, channels and dtypes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.audio.shape import as_audio, to_channels
from tokaudio.errors import AudioError


@pytest.mark.parametrize(
    ("given_shape", "shape"),
    [
        ((7,), (1, 1, 7)),
        ((2, 7), (1, 2, 7)),
        ((100, 2), (1, 2, 100)),
        ((33, 32), (1, 32, 33)),
        ((32, 32), (1, 32, 32)),
        ((3, 2, 7), (3, 2, 7)),
        ((0,), (1, 1, 0)),
        ((2, 0), (1, 2, 0)),
    ],
)
def test_ranks(given_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    values = np.linspace(-1, 1, int(np.prod(given_shape)), dtype=np.float32).reshape(given_shape)
    for audio in (values, torch.from_numpy(values)):
        result = as_audio(audio)
        assert result.samples.shape == shape
        assert result.samples.dtype == torch.float32
        expected = values.T if shape[1:] == given_shape[::-1] and given_shape[0] != given_shape[-1] else values
        assert np.array_equal(result.samples.numpy().ravel(), expected.ravel())
    transposed = given_shape in ((100, 2), (33, 32))
    assert ("transposed" in " ".join(result.notes)) == transposed


@pytest.mark.parametrize(
    ("shape", "problem"),
    [((), "0 axes"), ((1, 1, 1, 1), "4 axes"), ((64, 1000), "64 channels"), ((1, 100, 2), "100 channels")],
)
def test_refused_ranks(shape: tuple[int, ...], problem: str) -> None:
    with pytest.raises(AudioError, match=problem):
        as_audio(np.zeros(shape, dtype=np.float32))


def test_empty_batches_and_channels_are_refused() -> None:
    with pytest.raises(AudioError, match="no item"):
        as_audio(torch.zeros(0, 1, 5))
    with pytest.raises(AudioError, match="0 channels"):
        as_audio(torch.zeros(1, 0, 5))


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint8", 0, 255), ("int8", -128, 127), ("int16", -32768, 32767), ("int32", -(2**31), 2**31 - 1)],
)
def test_integers_are_pcm(dtype: str, low: int, high: int) -> None:
    array = np.array([low, high, 128 if dtype == "uint8" else 0], dtype=dtype)
    for audio in (array, torch.from_numpy(array), array.astype(array.dtype.newbyteorder(">"))):
        result = as_audio(audio)
        assert result.samples[0, 0, 0] == -1.0
        assert 0.99 < result.samples[0, 0, 1] <= 1.0
        assert result.samples[0, 0, 2] == 0.0
        assert dtype in result.notes[0]


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_int16_scaling_is_exact(values: list[int]) -> None:
    samples = as_audio(np.array(values, dtype=np.int16)).samples[0, 0]
    assert torch.equal(samples * 32768, torch.tensor(values, dtype=torch.float32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats(dtype: torch.dtype) -> None:
    result = as_audio(torch.tensor([0.5, -0.25], dtype=dtype))
    assert result.samples.tolist() == [[[0.5, -0.25]]]
    assert result.notes == ()


def test_float32_is_not_copied() -> None:
    array = np.zeros((2, 10), dtype=np.float32)
    assert as_audio(array).samples.numpy().base is not None
    array[0, 0] = 0.5
    tensor = torch.zeros(1, 1, 10)
    assert as_audio(tensor).samples.data_ptr() == tensor.data_ptr()


def test_awkward_arrays() -> None:
    array = np.linspace(-1, 1, 20, dtype=np.float32)
    reverse = as_audio(array[::-1]).samples[0, 0]
    assert reverse.tolist() == array[::-1].tolist()
    array.flags.writeable = False
    assert as_audio(array).samples.shape == (1, 1, 20)

    class Holder:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return array

    assert as_audio(Holder()).samples.shape == (1, 1, 20)


def test_lists_are_taken_as_they_are() -> None:
    assert as_audio([[0, 1], [-1, 0]]).samples.tolist() == [[[0.0, 1.0], [-1.0, 0.0]]]
    with pytest.raises(AudioError, match="divide by 32768"):
        as_audio([0, 12000])
    with pytest.raises(AudioError, match="ragged"):
        as_audio([[0.0, 1.0], [0.0]])
    with pytest.raises(AudioError, match="not audio"):
        as_audio(["a", "b"])


@pytest.mark.parametrize("dtype", ["bool", "complex64", "uint16", "uint32", "int64", "uint64", "longdouble", "object"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    with pytest.raises(AudioError, match="samples are not audio"):
        as_audio(np.zeros(4, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64, torch.int64])
def test_other_tensors_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(AudioError, match="samples are not audio"):
        as_audio(torch.zeros(4, dtype=dtype))
    with pytest.raises(AudioError, match="sparse"):
        as_audio(torch.zeros(2, 2).to_sparse())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, 32768.0])
def test_unusable_values_are_refused(value: float) -> None:
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(AudioError, match=r"is nan|is inf|divide by 32768"):
            as_audio(torch.tensor([0.0, value], dtype=dtype))
    with pytest.raises(AudioError, match="divide by 32768"):
        as_audio(np.array([1e300]))


def test_rates() -> None:
    assert as_audio(torch.zeros(4)).sample_rate is None
    assert as_audio(torch.zeros(4), 44100.0).sample_rate == 44100  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="outside"):
        as_audio(torch.zeros(4), 1)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((100, 2)), 22050)
    for name in (path, str(path)):
        result = as_audio(name)
        assert result.samples.shape == (1, 2, 100)
        assert result.sample_rate == 22050
    assert as_audio(path, 22050).sample_rate == 22050
    with pytest.raises(AudioError, match=r"a\.wav: the file is at 22050 Hz, but sample_rate=16000 was given"):
        as_audio(path, 16000)


def test_to_channels() -> None:
    stereo = torch.tensor([[[1.0, -1.0], [0.0, 1.0]]])
    same, note = to_channels(stereo, 2)
    assert same is stereo
    assert note == ""
    mono, note = to_channels(stereo, 1)
    assert mono.tolist() == [[[0.5, 0.0]]]
    assert note == "2 channels averaged to 1"
    back, note = to_channels(mono, 3)
    assert back.tolist() == [[[0.5, 0.0]] * 3]
    assert note == "1 channel repeated to 3"
    assert stereo.tolist() == [[[1.0, -1.0], [0.0, 1.0]]]
    with pytest.raises(AudioError, match="2 channels, but 3 are wanted; give 1 or 3"):
        to_channels(stereo, 3)


@given(st.integers(2, 8), st.integers(1, 300), st.integers(1, 299))
def test_downmix_does_not_depend_on_blocks(channels: int, samples: int, cut: int) -> None:
    signal = torch.rand(1, channels, samples, generator=torch.Generator().manual_seed(samples))
    whole, _ = to_channels(signal, 1)
    parts = [to_channels(part, 1)[0] for part in (signal[..., :cut], signal[..., cut:])]
    assert torch.equal(torch.cat(parts, -1), whole)
