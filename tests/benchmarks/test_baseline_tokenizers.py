"""Baselines of the leaderboard: codes of the right number, and of what they are said to be."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import baseline_tokenizers
import numpy as np
import pytest
import torch
from baseline_tokenizers import CODEC2_FIELDS, Codec2Parameters, MfccUnits, codec2_codes, fit_mfcc

from tokaudio.audio import read_audio, write_audio
from tokaudio.audio.log_mel import LogMel
from tokaudio.errors import MissingDependencyError
from tokaudio.probes.data.extraction import disordered
from tokaudio.probes.data.quick_data import read_data


@pytest.fixture(scope="module")
def units() -> MfccUnits:
    return fit_mfcc(read_data("quick")[:20], size=16)


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 16_000])
def test_mfcc_units_have_a_frame_for_every_20_ms(units: MfccUnits, samples: int) -> None:
    sound = 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))
    tokens, features = units.encode(sound, 16_000), units.features(sound, 16_000)
    assert tokens.codes.shape == (1, 1, -(-samples // 320)) and features.shape[2] == tokens.codes.shape[2]
    distances = (features[0].T[:, None] - units.codebooks()[0]).square().sum(dim=2)
    assert (distances.argmin(dim=1) == tokens.codes[0, 0]).all()
    assert units.embed(tokens).shape == features.shape


def test_a_file_and_blocks_give_the_codes_of_the_whole(units: MfccUnits, tmp_path: Path) -> None:
    sound = 0.1 * torch.randn(1, 40_000, generator=torch.Generator().manual_seed(2))
    write_audio(tmp_path / "a.wav", sound, 16_000)
    whole = units.encode(read_audio(tmp_path / "a.wav")[0], 16_000).codes
    assert torch.equal(units.encode(tmp_path / "a.wav").codes, whole)
    assert torch.equal(units.encode_blocks(sound.split(12_345, dim=1), 16_000).codes, units.encode(sound, 16_000).codes)


def test_cepstra_are_those_of_a_cosine_transform_and_slopes_of_a_ramp_are_constant() -> None:
    from scipy.fft import dct

    mel, sound = LogMel(80), 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(1))
    rows = baseline_tokenizers.mfcc(sound, mel)
    logs = mel(torch.nn.functional.pad(sound, (0, 320))[None])[0][:50].unflatten(0, (25, 2)).mean(dim=1)
    assert np.allclose(rows[:, :13].numpy(), dct(logs.numpy(), type=2, axis=1)[:, :13] / 2, atol=1e-3)
    ramp = baseline_tokenizers._slope(torch.arange(9.0)[:, None])
    assert torch.allclose(ramp[2:-2], torch.ones(5, 1))


def test_parameters_of_codec2_are_read_from_gray_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, [2**bits for bits in CODEC2_FIELDS], (3, len(CODEC2_FIELDS)))
    gray = codes ^ codes >> 1
    text = "".join(f"{number:0{bits}b}" for row in gray for number, bits in zip(row, CODEC2_FIELDS, strict=True))
    coded = np.packbits(np.array([int(bit) for bit in text], dtype=np.uint8)).tobytes()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=coded))
    assert (codec2_codes(np.zeros(480, dtype=np.float32)) == codes).all()


def test_codec2_says_frames_as_its_rate_does_and_other_codes_in_disorder(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).integers(0, [2**bits for bits in CODEC2_FIELDS], (60, len(CODEC2_FIELDS)))
    monkeypatch.setattr(baseline_tokenizers.shutil, "which", lambda _: "c2enc")
    monkeypatch.setattr(baseline_tokenizers, "codec2_codes", lambda wave: rows[: len(wave) // 160])
    codec = Codec2Parameters()
    assert codec.spec.bitrate_bps == 3200
    tokens = codec.encode(torch.zeros(16_000), 16_000)
    assert (tokens.codes[0].numpy() == rows[:50].T).all()
    other = disordered(codec).encode(torch.zeros(16_000), 16_000)
    assert (other.codes != tokens.codes).float().mean() > 0.5


def test_what_is_not_installed_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"^codec2: c2enc is not installed; apt-get install codec2$"):
        Codec2Parameters()
