"""EnCodec against transformers' port in all published layouts, and at 48 kHz against the first release's package."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tests.parity.support import Case, Peer, build, cases, check_parity, recording, reference_mode, signals
from tokaudio import Tokenizer

# Lengths at which segments of 48,000 samples every 47,520 begin, end and leave a short one but last.
SEGMENTS = {
    "one segment": 48_000,
    "one more than a segment": 48_001,
    "one stride": 47_520,
    "one less than a stride": 47_519,
    "one more than a stride": 47_521,
    "two short segments": 2 * 47_520 + 100,
    "3.7 s": 177_600,
}


def load(folder: Path) -> Tokenizer:
    """Load a folder; a release file is renamed, for under its own name its digest would be checked."""
    for path in folder.glob("*.th"):
        path.rename(folder / "random.th")
    return Tokenizer.from_pretrained(folder)


def segment_cases(peer: Peer) -> Iterator[Case]:
    """Yield sounds of all lengths of `SEGMENTS`, and a batch."""
    sound = signals(48_000, 7, seconds=sum(SEGMENTS.values()) / 48_000 + 1, channels=2)
    start = 0
    for name, length in SEGMENTS.items():
        yield Case(name, sound[None, :, start : start + length])
        start += length
    yield Case("batch of 2 s", torch.stack([sound[:, :96_000], sound[:, -96_000:]]))


# Any of 32 codebooks may meet a tie, and about 4 in 10,000 frames do: so many frames that their share means something.
@pytest.mark.parametrize(("name", "long_frames"), [("encodec-24k", 1_500), ("encodec-32k", 250)])
def test_encodec(name: str, long_frames: int, tmp_path: Path):
    peer = build(name)
    tried = list(cases(peer, long_frames=long_frames))
    for layout in peer.facts.layouts:
        check_parity(peer, layout, tmp_path / layout, tried=tried, load=load)


def test_encodec_48k_in_all_layouts(tmp_path: Path):
    peer = build("encodec-48k")
    first, *others = peer.facts.layouts
    check_parity(peer, first, tmp_path / first, load=load)
    some = [case for case in cases(peer) if case.name in {"very short", "recording", "8 of 16 codebooks"}]
    for layout in others:
        check_parity(peer, layout, tmp_path / layout, tried=some, load=load)


def test_encodec_48k_segments_as_the_first_release_has_them(tmp_path: Path):
    peer = build("encodec-48k-original")
    check_parity(peer, "original", tmp_path, tried=list(segment_cases(peer)), load=load)


def test_scales_and_mono(tmp_path: Path):
    peer = build("encodec-48k-original")
    tokenizer = load(peer.save(tmp_path))
    voice = recording(48_000, seconds=2.5)
    theirs = peer.encode(torch.stack([voice, voice], dim=1))
    ours = tokenizer.encode(voice, 48_000)
    scale = ours.extras["frame_scale"]
    assert_near(scale[scale > 0], theirs.extras["scale"][0], within=1e-7)
    assert scale.nonzero()[:, 1].tolist() == [0, 150, 300]
    assert torch.equal(ours.codes, theirs.codes)


# From 161 to 320 samples after a stride both references cannot add up what they decode; the codes are the same.
@pytest.mark.parametrize("extra", [161, 320])
def test_sound_where_the_references_fail(extra: int, tmp_path: Path):
    peer = build("encodec-48k-original")
    tokenizer = load(peer.save(tmp_path))
    sound = signals(48_000, 9, seconds=1.2, channels=2)[:, : 47_520 + extra]
    theirs, ours = peer.encode(sound[None]), tokenizer.encode(sound, 48_000)
    assert torch.equal(ours.codes, theirs.codes) and ours.codes.shape[2] == 151
    with pytest.raises(RuntimeError, match="size of tensor"):
        peer.decode(theirs)
    scales = theirs.extras["scale"].split(1, dim=1)
    with reference_mode():
        first, last = (peer.model.decode([frame]) for frame in zip(theirs.codes.split(150, dim=2), scales, strict=True))
    back = tokenizer.decode(ours)
    assert_near(back[..., :47_520], first[..., :47_520])
    rising = torch.arange(1, extra + 1) / 481
    assert_near(back[..., 47_520:], torch.lerp(first[..., 47_520:][..., :extra], last[..., :extra], rising))
