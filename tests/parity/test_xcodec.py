"""X-Codec and the Higgs tokenizer against transformers and Boson's package: codes, features and decoded sound."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tests.parity.signals import signals
from tests.parity.support import build, cases, check_parity, reference_mode
from tokaudio import Tokenizer
from tokaudio.tokenizers.families.xcodec import XCodec

NAMES = ["xcodec", "xcodec-wavlm", "xcodec-original", "xcodec-wavlm-original", "higgs", "higgs-original"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_its_reference(name: str, tmp_path: Path) -> None:
    peer = build(name)
    check_parity(peer, peer.facts.layouts[0], tmp_path / "files", tried=list(cases(peer, long_frames=480)))


# Samples beyond whole frames: both branches count alike, or the acoustic one has to hear half a frame of silence.
@pytest.mark.parametrize("name", ["xcodec", "higgs"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.6, 0.98])
def test_frames_that_are_not_whole_are_counted_as_in_the_reference(name: str, part: float, tmp_path: Path) -> None:
    peer = build(name)
    codec = Tokenizer.from_pretrained(peer.save(tmp_path / "files"))
    assert isinstance(codec, XCodec)
    hop = peer.facts.hop_length
    sound = signals(peer.facts.sample_rate, 9)[None, :, : 20 * hop + round(part * hop)]
    with reference_mode():
        wanted = peer.latents(sound)
        assert_near(codec.encoder(sound), wanted)
    assert wanted.shape[2] == 20 + (part > 0.25)


def test_silence_and_a_loud_click_are_coded_alike(tmp_path: Path) -> None:
    peer = build("xcodec")
    codec = Tokenizer.from_pretrained(peer.save(tmp_path / "files"))
    sound = torch.zeros(2, 1, 6400)
    sound[1, 0, 3000] = 1.0
    with reference_mode():
        assert_near(codec.features(sound, 16_000), peer.features(sound))
