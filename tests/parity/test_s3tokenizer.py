"""S3Tokenizer gives the codes of the package `s3tokenizer`, from the published ONNX layout, also beyond 30 seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.parity.builders.s3tokenizer import make
from tests.parity.support import Case, build, cases, check_parity, reference_mode, signals
from tokaudio import Tokenizer

NAMES = ["s3tokenizer-v1-50hz", "s3tokenizer-v1-25hz", "s3tokenizer-v2", "s3tokenizer-v3"]
RATE = 16_000


def long_sound(seconds: float, seed: int = 5) -> Tensor:
    return signals(RATE, seed, seconds=seconds)[None]


@pytest.mark.parametrize("name", NAMES)
def test_codes_and_features(name: str, tmp_path: Path) -> None:
    peer = build(name)
    beyond = [Case("33.3 s", long_sound(33.3)), Case("60.1 s", long_sound(60.1)), Case("exactly 30 s", long_sound(30))]
    for layout in peer.facts.layouts:
        total = check_parity(peer, layout, tmp_path / layout, tried=[*cases(peer), *beyond])
        assert total.codes > 3000


# On some processors rounding tips a code of a thousand; codes that are lost or moved differ nearly all.
MOST_FLIPS = 2


def flips(ours: torch.Tensor, theirs: torch.Tensor) -> int:
    """Return how many of as many codes differ."""
    assert ours.shape == theirs.shape
    return int((ours != theirs).sum())


@pytest.mark.parametrize("name", ["s3tokenizer-v1-50hz", "s3tokenizer-v2"])
@pytest.mark.parametrize("seconds", [53.0, 55.0])
def test_codes_that_the_reference_loses_at_the_last_seam(name: str, seconds: float, tmp_path: Path) -> None:
    peer = build(name)
    tokenizer = Tokenizer.from_pretrained(peer.save(tmp_path))
    audio = long_sound(seconds)
    ours, theirs = tokenizer.encode(audio).codes[0, 0], peer.encode(audio).codes[0, 0]
    rate = float(tokenizer.spec.frame_rate)
    # Its last window begins at 52 s; the one before stops 2 s before the end instead of at 54 s.
    seam, after = round((seconds - 2) * rate), round(max(0.0, seconds - 54) * rate)
    assert len(theirs) == seam + after < len(ours) == seconds * rate
    assert flips(ours[:seam], theirs[:seam]) <= MOST_FLIPS
    assert flips(ours[len(ours) - after :], theirs[seam:]) <= MOST_FLIPS
    mel, _ = peer.mel(audio)
    with reference_mode():
        window, _ = peer.model.quantize(mel[:, :, 2600:5600], torch.tensor([min(3000, mel.shape[2] - 2600)]))
    kept = slice(seam, len(ours) - after)
    alike = window[0, round(2 * rate) :][kept.start - round(28 * rate) : kept.stop - round(28 * rate)]
    assert flips(ours[kept], alike) <= MOST_FLIPS


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_reads_its_own_files(name: str, tmp_path: Path) -> None:
    peer = build(name)
    (file,) = peer.save(tmp_path, "onnx").iterdir()
    with reference_mode():
        again = make(name.removeprefix("s3tokenizer-"), full_size=False)
        again.init_from_onnx(str(file))
    wanted = peer.model.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in again.state_dict().items())


def test_lookups_of_the_reference_give_its_codes() -> None:
    for name in ("s3tokenizer-v1-25hz", "s3tokenizer-v2"):
        peer = build(name)
        audio = long_sound(2.0)
        codes = peer.encode(audio).codes[0]
        gap = peer.gap(audio[0], codes)
        for frame in range(0, codes.shape[1], 7):
            code = int(codes[0, frame])
            found = gap(0, frame, (code + 1) % 4096, code)
            assert found.theirs <= found.nearest * (1 + 1e-4) < found.ours


def test_the_filterbank_is_that_of_the_package() -> None:
    from s3tokenizer.utils import _mel_filters

    from tokaudio.audio.mel import slaney_filterbank

    ours = torch.tensor(slaney_filterbank(RATE, 400, 128).copy()).float()
    torch.testing.assert_close(ours, _mel_filters("cpu", 128), rtol=0, atol=1e-8)
