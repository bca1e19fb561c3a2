"""DualCodec against the package's own model, at both rates, as its files are published."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tests.parity.support import Case, build, cases, check_parity, signals
from tokaudio.tokenizers.families.dualcodec import DualCodec


def with_noise(case: Case) -> Case:
    """Return a case without silence: its energies would show the last bits of both resamplers, magnified."""
    noise = torch.randn(case.audio.shape, generator=torch.Generator().manual_seed(1))
    return dataclasses.replace(case, audio=case.audio + 0.02 * noise)


@pytest.mark.parametrize("variant", ["12hz", "25hz"])
def test_codes_features_and_audio_are_those_of_the_reference(variant: str, tmp_path: Path):
    peer = build(f"dualcodec-{variant}")
    hop = peer.facts.hop_length
    # The reference has no frame in a signal of a third of one, and fails.
    tried = [case for case in cases(peer, long_frames=45) if case.audio.shape[-1] > 2 * hop]
    sound = signals(peer.facts.sample_rate, 7, seconds=27.0)
    # Around where a frame becomes complete, and where the speech model's last step is half real.
    for extra in (118, 119, 359, 360):
        tried.append(Case(f"{extra} samples more", sound[None, :, : 12 * hop + extra]))
    tried.append(Case("batch of 9", torch.stack(sound.split(72_000, dim=1))))
    tried = [with_noise(case) for case in tried]
    check_parity(peer, "published", tmp_path, tried=tried, load=DualCodec.from_pretrained, features=False)
    # Both resamplers work in float32; their last bits show where energies are small: 2e-5 of the peak of those.
    codec = DualCodec.from_pretrained(tmp_path)
    for case in tried[:2]:
        assert_near(codec.features(case.audio), peer.features(case.audio), within=2e-4)
