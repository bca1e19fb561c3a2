"""The check of a family passes an equal codec and catches each way of being different; results become a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.parity import conformance, harness
from tests.parity.compare import Level, ResidualLookup
from tests.parity.harness import cases, check_parity
from tests.parity.install import remove_obstacles
from tests.parity.oracles import missing_oracles
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.records import ParityRecord, load_records, record
from tests.parity.signals import signals
from tokaudio import Tokenizer
from tokaudio.spec import CodebookSpec, TokenizerSpec

HOP, SIZE = 16, 32


def encode(book: Tensor, samples: Tensor, k: int) -> Tensor:
    """Two residual levels over frames of samples: the whole toy codec, `[B, k, T]` of `[B, 1, S]`."""
    residual, rows = frames(samples), []
    for _ in range(k):
        rows.append(torch.cdist(residual, book.expand(len(residual), -1, -1)).argmin(2))
        residual = residual - book[rows[-1]]
    return torch.stack(rows, 1)


def frames(samples: Tensor) -> Tensor:
    padded = nn.functional.pad(samples, (0, -samples.shape[-1] % HOP))
    return padded.unflatten(-1, (-1, HOP))[:, 0]


class ToyPeer(Peer):
    def __init__(self) -> None:
        sound = signals(2_000, 3, seconds=20.0)
        picked = torch.randperm(sound.shape[1] // HOP, generator=torch.Generator().manual_seed(0))[:SIZE]
        self.book = frames(sound[None])[0][picked]
        self.facts = PeerFacts("toy-2k", "torch", ("toy",), 2_000, HOP, (SIZE, SIZE))

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        return PeerCodes(encode(self.book, audio, num_codebooks), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.book[codes.codes].sum(1).flatten(1)[:, None]

    def _features(self, audio: Tensor) -> Tensor:
        return frames(audio).transpose(1, 2)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        return [ResidualLookup(self._features(audio)[0], [Level(self.book)] * 2)]

    def _save(self, folder: Path, layout: str) -> None:
        torch.save(self.book, folder / "toy.bin")


class Toy(Tokenizer):
    """The same codec as tokaudio would have it, with one possible defect."""

    def __init__(self, folder: Path, defect: str = "") -> None:
        super().__init__(TokenizerSpec("toy", "compression", 2_000, HOP, (CodebookSpec(SIZE),) * 2, chunking="none"))
        self.register_buffer("book", torch.load(folder / "toy.bin", weights_only=True))
        self.defect = defect

    def config(self) -> dict[str, Any]:
        return {}

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        codes = encode(self.book, samples[None], num_codebooks)[0]
        if self.defect == "codes" and codes.shape[1] > 60:
            codes[-1, 50] = (codes[-1, 50] + 1) % SIZE
        return codes[:, :-1] if self.defect == "frames" else codes

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        louder = 1.0001 if self.defect == "audio" else 1.0
        return louder * self.book[codes].sum(0).flatten()[None, :num_samples]

    def _features(self, samples: Tensor) -> Tensor:
        return frames(samples[None])[0].T * (1.0001 if self.defect == "features" else 1.0)

    def _embed(self, codes: Tensor) -> Tensor:
        return self.book[codes].sum(1).transpose(1, 2)

    def codebooks(self) -> list[Tensor]:
        return [self.book] * 2

    def _streaming(self, num_codebooks: int) -> Any:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "results"
    monkeypatch.setattr(harness, "record", lambda *a, **k: record(*a, folder=folder, **k))
    return folder


def check(tmp_path: Path, defect: str = "", **options: Any) -> ParityRecord:
    return check_parity(ToyPeer(), "toy", tmp_path / "files", load=lambda folder: Toy(folder, defect), **options)


def test_an_equal_codec_passes_and_is_recorded(tmp_path: Path, results: Path) -> None:
    row = check(tmp_path)
    assert row.codes == row.equal > 500
    assert row.non_tie_flips == row.tie_flips == 0
    assert row.audio_difference == row.feature_difference == 0.0
    assert load_records(results) == [row]
    assert {"one more", "one less", "very short", "long", "recording", "batch of 3"} <= set(row.cases)


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        ("codes", "differ without a tie"),
        ("frames", "differ in shape"),
        ("audio", "decoded audio differs"),
        ("features", "features differ"),
    ],
)
def test_each_defect_is_caught(tmp_path: Path, defect: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        check(tmp_path, defect)


def test_codes_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    quiet = [harness.Case("a tone", torch.ones(1, 1, 4_000).mul_(0.3))]
    with pytest.raises(AssertionError, match="too few distinct codes"):
        check(tmp_path, tried=quiet)


def test_cases_have_the_lengths_batches_and_codebooks_that_are_promised() -> None:
    tried = {case.name: case for case in cases(ToyPeer())}
    assert tried["one less"].audio.shape[-1] % HOP == HOP - 1
    assert tried["batch of 3"].audio.shape[0] == 3
    assert not torch.equal(*tried["batch of 3"].audio[:2])
    assert tried["1 of 2 codebooks"].num_codebooks == 1


def test_the_page_lists_results_and_check_finds_what_it_does_not_tell(tmp_path: Path, results: Path) -> None:
    target = tmp_path / "conformance.md"
    assert conformance.main(["--check"], folder=results, target=target) == 0
    assert conformance.main([], folder=results, target=target) == 1
    row = check(tmp_path)
    assert conformance.main(["--check"], folder=results, target=target) == 1
    assert conformance.main([], folder=results, target=target) == 0
    text = target.read_text()
    assert f"| toy-2k | torch {torch.__version__} | toy | {row.codes:,} |" in text
    assert conformance.main(["--check"], folder=results, target=target) == 0
    target.write_text(text.replace("| 0e+00 |", "| 3e-07 |"))
    assert conformance.main(["--check"], folder=results, target=target) == 0
    target.write_text(text.replace(f"| {row.codes:,} |", "| 7 |", 1))
    assert conformance.main(["--check"], folder=results, target=target) == 1


def test_missing_oracles_are_named_with_the_version_that_was_tested(tmp_path: Path) -> None:
    path = tmp_path / "oracles.txt"
    path.write_text(f"# note\nno-such-oracle==1.0 # why\ntorch=={torch.__version__}\npytest==0.1\n")
    assert missing_oracles(path) == ["no-such-oracle==1.0", "pytest==0.1"]


def test_only_what_stands_in_the_way_is_removed(tmp_path: Path) -> None:
    kept = [tmp_path / "torchaudio" / "functional.py", tmp_path / "torch" / "lib.so"]
    gone = [tmp_path / "torchaudio" / "lib" / "a.so", tmp_path / "tests" / "__init__.py"]
    for path in kept + gone:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert remove_obstacles(tmp_path) == [gone[0], tmp_path / "tests"]
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)
    (tmp_path / "tests").mkdir()
    assert remove_obstacles(tmp_path) == []
