"""SNAC against its package, codes, features and sound; both decoders receive the same noise."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.parity.support import build, cases, check_parity, recording, reference_mode
from tokaudio import Tokenizer, Tokens
from tokaudio.nn.noise import noise_at

SEED = 3


class TorchWithOurNoise:
    """What the package's layers take for torch: its `randn` gives the noise of our positions and levels."""

    def __init__(self, levels: int) -> None:
        self.calls: Iterator[int] = count()
        self.levels = levels

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def randn(self, shape: tuple[int, int, int], **_: object) -> Tensor:
        level = next(self.calls) % self.levels
        return noise_at(0, shape[2], seed=SEED, level=level).expand(shape)


@pytest.fixture
def same_noise(monkeypatch: pytest.MonkeyPatch) -> TorchWithOurNoise:
    with reference_mode():
        from snac import layers

    noise = TorchWithOurNoise(levels=4)
    monkeypatch.setattr(layers, "torch", noise)
    return noise


def decode(tokenizer: Tokenizer, tokens: Tokens) -> Tensor:
    tokenizer.noise_seed = SEED
    return tokenizer.decode(tokens)


@pytest.mark.parametrize("name", ["snac-24k", "snac-32k", "snac-44k"])
def test_snac(name: str, tmp_path: Path, same_noise: TorchWithOurNoise):
    peer = build(name)
    for layout in peer.facts.layouts:
        # Long enough that the slowest codebook shows its diversity as well.
        tried = list(cases(peer, long_frames=160 * max(peer.facts.strides)))
        row = check_parity(peer, layout, tmp_path / layout, tried=tried, decode=decode, tolerance=2e-5)
        assert row.distinct >= 200
    assert next(same_noise.calls) % 4 == 0


def test_noise_is_heard_and_can_be_left_out(tmp_path: Path, same_noise: TorchWithOurNoise):
    """Without noise on our side the sounds differ, so the comparison above means something."""
    peer = build("snac-24k")
    tokenizer = Tokenizer.from_pretrained(peer.save(tmp_path / "files"))
    voice = recording(24_000)[None, :, :30_000]
    tokens, theirs = tokenizer.encode(voice, 24_000), peer.decode(peer.encode(voice))[..., :30_000]
    assert float((decode(tokenizer, tokens) - theirs).abs().max()) < 1e-5
    tokenizer.noise_seed = None
    assert float((tokenizer.decode(tokens) - theirs).abs().max()) > 1e-2
    same_noise.randn = lambda shape, **_: torch.zeros(shape)
    assert float((tokenizer.decode(tokens) - peer.decode(peer.encode(voice))[..., :30_000]).abs().max()) < 1e-5
