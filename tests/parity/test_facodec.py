"""FACodec against its parts: codes, features, voices and decoded sound."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.near import assert_near
from tests.parity.support import build, check_parity, recording
from tokaudio.tokenizers.families.facodec import FACodec


def test_codes_features_and_audio_are_those_of_the_parts(tmp_path: Path):
    check_parity(build("facodec"), "amphion", tmp_path / "amphion")


def test_voices_are_those_of_the_parts_alone_and_in_batches(tmp_path: Path):
    peer = build("facodec")
    codec = FACodec.from_pretrained(peer.save(tmp_path))
    sound = recording(16_000)[None, :, :48_000]
    batch = torch.cat([sound, sound.flip(2)])
    wanted = peer.encode(batch).extras["voice"]
    assert float((wanted[0] - wanted[1]).abs().max()) > 0.01
    assert_near(codec.encode(batch).extras["item_voice"], wanted)
