"""`tokaudio encode` and `decode` with folders of published files, on a real recording, for every family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.parity.support import FAMILIES, build
from tokaudio import Tokens, catalogue
from tokaudio.audio import audio_info
from tokaudio.cli import run

RECORDING = Path(__file__).parents[2] / "examples" / "audio" / "speech.wav"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_recording_goes_through_the_shell_and_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = build(name)
    folder, copy = peer.save(tmp_path / "published"), tmp_path / "copy"
    for path in folder.glob("*.th"):
        # Under its own name a release file must have the published bytes.
        path.rename(folder / "random.th")
    monkeypatch.chdir(tmp_path)
    assert run(["encode", str(RECORDING), "out.npz", "-t", "./published"]) == 0
    tokens = Tokens.load("out.npz")
    assert tokens.spec.sample_rate == peer.facts.sample_rate
    assert tokens.spec.codebook_sizes == peer.facts.codebook_sizes
    assert run(["convert", "./published", str(copy)]) == 0
    assert run(["encode", str(RECORDING), "again.npz", "-t", "./copy", "--json"]) == 0
    assert torch.equal(Tokens.load("again.npz").codes, tokens.codes)
    if not peer.facts.decodes:
        assert run(["decode", "out.npz", "back.wav", "-t", "./published"]) == 2
        assert not Path("back.wav").exists()
        return
    assert run(["decode", "out.npz", "back.wav", "-t", "./published"]) == 0
    original, back = audio_info(RECORDING), audio_info("back.wav")
    rate = tokens.spec.output_sample_rate
    assert back.sample_rate == rate
    assert back.frames == -(-original.frames * rate // original.sample_rate)
    capsys.readouterr()


def test_the_list_says_what_every_family_is_and_how_far_it_was_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["tokenizers"]
    for row in listed:
        assert row["kind"] in {"semantic", "compression", "hybrid"}
        known = {"verified", "by parts", "unverified"} if row["where"] != "built-in" else {None}
        assert row["verification"] in known
        assert row["licence"] and row["chunking"] and row["frame_rate"] > 0
    loadable = {entry.family for entry in catalogue.entries() if entry.status != "built-in"}
    assert loadable <= {row["family"] for row in listed}
