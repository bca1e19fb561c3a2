"""The published files that the builders write are read back by the references themselves, to the same codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.parity.builders import FAMILIES, build
from tests.parity.builders.encodec import ORIGINAL_FILES
from tests.parity.peer import Peer, reference_mode
from tests.parity.signals import signals

OURS = [name for name in FAMILIES if name.startswith(("encodec", "dac", "snac"))]


def sound(peer: Peer, seconds: float = 1.0) -> Tensor:
    return signals(peer.facts.sample_rate, 7, seconds=seconds, channels=peer.facts.channels)[None]


def reread(peer: Peer, folder: Path) -> Any:
    """Return the reference's own model, loaded from the files."""
    if peer.facts.oracle == "transformers":
        import transformers

        kind = transformers.EncodecModel if "encodec" in peer.facts.name else transformers.DacModel
        return kind.from_pretrained(folder)
    if peer.facts.oracle == "snac":
        import snac

        return snac.SNAC.from_pretrained(str(folder))
    import dac

    (file,) = folder.iterdir()
    return dac.DAC.load(file)


@pytest.mark.parametrize("name", OURS)
def test_the_reference_reads_its_own_files(name: str, tmp_path: Path) -> None:
    peer = build(name)
    audio = sound(peer)
    codes = peer.encode(audio)
    model = peer.model
    for layout in peer.facts.layouts:
        if layout == "original":
            continue
        folder = peer.save(tmp_path / layout, layout)
        try:
            with reference_mode():
                peer.model = reread(peer, folder).eval()
            assert torch.equal(peer.encode(audio).codes, codes.codes)
            torch.manual_seed(0)
            again = peer.decode(codes)
        finally:
            peer.model = model
        torch.manual_seed(0)
        torch.testing.assert_close(again, peer.decode(codes), rtol=0, atol=1e-6)


@pytest.mark.parametrize("variant", ["24k", "48k"])
def test_the_original_package_reads_the_original_layout(variant: str, tmp_path: Path) -> None:
    import encodec

    peer = build(f"encodec-{variant}", seed=0, full_size=True)
    peer.save(tmp_path, "original")
    state = torch.load(tmp_path / ORIGINAL_FILES[variant], weights_only=True)
    with reference_mode():
        make = {"24k": encodec.EncodecModel.encodec_model_24khz, "48k": encodec.EncodecModel.encodec_model_48khz}
        model = make[variant](pretrained=False).eval()
        model.load_state_dict(state, strict=True)
        model.set_target_bandwidth(24.0)
        audio = sound(peer, 1.7)
        frames = model.encode(audio)
        theirs = torch.cat([codes for codes, _ in frames], dim=2)
        codes = peer.encode(audio)
        assert torch.equal(codes.codes, theirs)
        torch.testing.assert_close(peer.decode(codes), model.decode(frames), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["encodec-24k", "encodec-48k", "dac-24k-descript", "snac-32k"])
def test_lookups_of_the_references_give_their_codes(name: str) -> None:
    peer = build(name)
    audio = sound(peer)
    codes = peer.encode(audio).codes[0]
    gap = peer.gap(audio[0], codes)
    strides = peer.facts.strides or (1,) * len(codes)
    for level, stride in enumerate(strides):
        for frame in range(0, codes.shape[1], 8 * stride):
            found = gap(level, frame, int(codes[level, frame]), int(codes[level, frame]))
            assert found.theirs - found.nearest <= 1e-4 * found.nearest
            wrong = gap(level, frame, (int(codes[level, frame]) + 1) % 1000, int(codes[level, frame]))
            assert wrong.ours > wrong.nearest


def test_fewer_codebooks_are_the_first_ones() -> None:
    for name in ("encodec-24k", "dac-16k", "snac-24k"):
        peer = build(name)
        audio = sound(peer, 0.5)
        torch.testing.assert_close(peer.encode(audio, num_codebooks=2).codes, peer.encode(audio).codes[:, :2])


def test_segments_of_48k_survive_a_short_last_but_one() -> None:
    peer = build("encodec-48k")
    audio = sound(peer, 3.0)[..., : 2 * 47_520 + 100]
    codes = peer.encode(audio)
    assert codes.codes.shape[2] == 150 + 149 + 1
    assert codes.extras["scale"].shape == (1, 3)
    assert peer.decode(codes).shape[2] >= audio.shape[2]


def test_unknown_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has the layouts transformers, not zip"):
        build("dac-16k").save(tmp_path, "zip")
