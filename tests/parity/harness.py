"""The parity test of one reference and one file layout, the same for every family: `check_parity(peer, layout, ...)`.

Writes the reference's published files, reads them with tokaudio, and compares codes (margin-exact), features and
decoded audio at every length, alone and in batches, with all codebooks and with fewer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.compare import CodeComparison, compare_codes
from tests.parity.peer import Peer, PeerCodes
from tests.parity.records import ParityRecord, record
from tests.parity.signals import lengths, recording, signals
from tokaudio import Tokenizer, Tokens

Decode = Callable[[Tokenizer, Tokens], Tensor]


@dataclass(frozen=True)
class Case:
    """One thing that is tried: audio `[B, C, S]` and how many codebooks (None for all)."""

    name: str
    audio: Tensor
    num_codebooks: int | None = None


def cases(peer: Peer, *, long_frames: int = 250, seed: int = 100) -> Iterator[Case]:
    """Yield what every family is tried at: five lengths, a recording, a batch, fewer codebooks.

    Args:
        peer: whose rate, channels and hop count.
        long_frames: frames of the long case; more where the frame rate is low, so that codes are diverse.
        seed: of the signals; each case has its own.
    """
    facts = peer.facts
    sizes = lengths(facts.hop_length, long_frames=long_frames)
    sound = signals(
        facts.sample_rate, seed, seconds=4 * max(sizes.values()) / facts.sample_rate, channels=facts.channels
    )
    start = 0
    for name, size in sizes.items():
        yield Case(name, sound[None, :, start : start + size])
        start += size
    yield Case("recording", recording(facts.sample_rate, channels=facts.channels)[None])
    size = sizes["one less"]
    batch = torch.stack([part[:, :size] for part in sound.split(size, dim=1)[-4:-1]])
    yield Case("batch of 3", batch)
    total = len(facts.codebook_sizes)
    for k in sorted({1, (total + 1) // 2} - {total}):
        yield Case(f"{k} of {total} codebooks", sound[None, :, : sizes["one more"]], k)


def check_parity(
    peer: Peer,
    layout: str,
    folder: Path,
    *,
    tried: Sequence[Case] | None = None,
    load: Callable[[Path], Tokenizer] = Tokenizer.from_pretrained,
    decode: Decode = Tokenizer.decode,
    features: bool = True,
    least_distinct: int = 200,
    tolerance: float = 1e-5,
) -> ParityRecord:
    """Compare tokaudio with a reference over one published layout, keep the result, and fail if they differ.

    Args:
        peer: the reference.
        layout: one of `peer.facts.layouts`.
        folder: where its files are written.
        tried: the cases; those of `cases(peer)` by default.
        load: how tokaudio reads the folder.
        decode: how tokaudio decodes, where that needs more than `tokenizer.decode(tokens)` (a seed).
        features: whether `features` are compared.
        least_distinct: distinct codes that each codebook must show over all cases; codebooks of stride s must show
            1/s of it, and none more than half its size.
        tolerance: of decoded audio, absolute, and of features, relative to their peak where that is above 1.

    Raises:
        AssertionError: a code differs without a tie, codes are too alike to mean anything, or samples differ.
    """
    tokenizer = load(peer.save(folder, layout))
    facts = peer.facts
    tried = list(cases(peer)) if tried is None else tried
    total = CodeComparison()
    audio_worst = feature_worst = 0.0
    for case in tried:
        theirs = peer.encode(case.audio, num_codebooks=case.num_codebooks)
        ours = tokenizer.encode(case.audio, facts.sample_rate, num_codebooks=case.num_codebooks)
        compared = _compare(peer, case, ours, theirs)
        print(f"{facts.name}, {layout}, {case.name}: {compared}")
        total += compared
        if features and case.num_codebooks is None:
            feature_worst = max(feature_worst, _feature_difference(peer, case.audio, tokenizer))
        if facts.decodes:
            # Their codes on both sides, so that a tie flip does not hide or feign a difference of the decoders.
            same = dataclasses.replace(ours, codes=theirs.codes)
            sound = _seeded(peer, lambda same=same: decode(tokenizer, same))
            wanted = _seeded(peer, lambda theirs=theirs: peer.decode(theirs))
            audio_worst = max(audio_worst, _audio_difference(peer, case.audio.shape[-1], sound, wanted))
    row = record(
        facts.name,
        f"{facts.oracle} {facts.oracle_version}",
        layout,
        tuple(case.name for case in tried),
        total,
        audio_difference=audio_worst if facts.decodes else None,
        feature_difference=feature_worst if features else None,
    )
    total.require()
    strides = facts.strides or (1,) * len(facts.codebook_sizes)
    total.require_diverse(
        [min(least_distinct // s, v // 2) for s, v in zip(strides, facts.codebook_sizes, strict=True)]
    )
    assert feature_worst <= tolerance, f"features differ by {feature_worst:.1e}"
    assert audio_worst <= tolerance, f"decoded audio differs by {audio_worst:.1e}"
    return row


def _compare(peer: Peer, case: Case, ours: Tokens, theirs: PeerCodes) -> CodeComparison:
    assert ours.num_samples.tolist() == [case.audio.shape[-1]] * len(case.audio), f"{case.name}: wrong num_samples"
    levels = theirs.codes.shape[1]
    chains = [[k for k in chain if k < levels] for chain in peer.facts.chains] or None
    total = CodeComparison()
    for item, (mine, reference) in enumerate(zip(ours.codes, theirs.codes, strict=True)):
        equal = mine.shape == reference.shape and torch.equal(mine.cpu(), reference.cpu())
        gap = None if equal else peer.gap(case.audio[item], reference)
        total += compare_codes(mine, reference, gap, strides=peer.facts.strides[:levels] or None, chains=chains)
    return total


def _feature_difference(peer: Peer, audio: Tensor, tokenizer: Tokenizer) -> float:
    theirs = peer.features(audio)
    ours = tokenizer.features(audio, peer.facts.sample_rate).cpu()
    assert ours.shape == theirs.shape, f"features: ours {list(ours.shape)}, theirs {list(theirs.shape)}"
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1.0))


def _audio_difference(peer: Peer, pushed: int, ours: Tensor, theirs: Tensor) -> float:
    rate = peer.facts.output_sample_rate or peer.facts.sample_rate
    wanted = -(-pushed * rate // peer.facts.sample_rate)
    assert ours.shape[-1] == wanted, f"decoded {ours.shape[-1]} samples, not {wanted}"
    common = min(wanted, theirs.shape[-1])
    assert common >= wanted - peer.facts.decoded_short_by, f"the reference returned {theirs.shape[-1]} of {wanted}"
    assert theirs[..., :common].std() > 1e-3, "vacuous: the reference decodes to silence"
    return float((ours[..., :common].cpu() - theirs[..., :common]).abs().max())


def _seeded(peer: Peer, action: Callable[[], Tensor]) -> Tensor:
    if peer.facts.seeded_decode:
        torch.manual_seed(0)
    return action()
