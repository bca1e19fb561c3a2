"""The Qwen3-TTS tokenizer at 12 Hz against the authors' own classes."""

from pathlib import Path

import torch

from tests.near import assert_near
from tests.parity.builders.qwen3tts import QwenPeer
from tests.parity.peer import PeerCodes
from tests.parity.support import build, cases, check_parity
from tokaudio import Tokens
from tokaudio.tokenizers.families.qwen3tts import Qwen3TTS


def test_qwen3tts(tmp_path: Path):
    """The long case is longer than what the published program decodes at a time."""
    peer = build("qwen3tts")
    tried = [case for case in cases(peer, long_frames=310) if case.name != "recording"]
    check_parity(peer, "published", tmp_path, load=Qwen3TTS.from_pretrained, tried=tried)


def test_sound_without_seams_is_that_of_the_decoder_in_one_go(tmp_path: Path):
    peer = build("qwen3tts")
    assert isinstance(peer, QwenPeer)
    codec = Qwen3TTS.from_pretrained(peer.save(tmp_path, "published"))
    assert isinstance(codec, Qwen3TTS)
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(2048, (1, 16, 303), generator=generator)
    tokens = Tokens(codes, torch.tensor([303]), torch.tensor([303 * 1920]), codec.spec, codec.fingerprint)
    seamed, codec.decode_frames = codec.decode(tokens), None
    smooth, theirs = codec.decode(tokens), peer.decode_in_one_go(PeerCodes(codes, 303 * 1920))
    assert float((smooth - theirs).abs().max()) < 1e-5
    assert_near(seamed[..., : 300 * 1920], smooth[..., : 300 * 1920])
    assert float((seamed - smooth)[..., 300 * 1920 :].abs().max()) > 1e-4
