"""What `fit-kmeans` does, shows while it works, and says at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import torch

from tokaudio.cli import options
from tokaudio.cli.failures import DONE, SOME_FAILED, printable
from tokaudio.cli.loading import choose_device
from tokaudio.cli.progress import Meter, meter
from tokaudio.cli.report import Report, emit, emit_json
from tokaudio.cli.signals import orderly, say_when_interrupted
from tokaudio.cli.sounds import Found
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.training.extraction import Entry, Listener, Sound
from tokaudio.training.fit_semantic import SemanticFit, fit_semantic_tokenizer, work_folder


def fit_and_tell(
    found: Found,
    backbone: str,
    layers: Sequence[int],
    folder: Path,
    report: Report,
    *,
    settings: Mapping[str, Any],
    float32: bool,
    device: str,
    jobs: int,
) -> int:
    """Fit a tokenizer to recordings, print the summary, and return the exit code.

    Args:
        found: recordings, and what could not be read of manifests.
        backbone: folder or name of the speech model.
        layers: numbers of hidden states.
        folder: of the tokenizer.
        report: takes the failures.
        settings: further options of `fit_semantic_tokenizer`.
        float32: whether features are kept so on disk.
        device: as the user gave it.
        jobs: pieces that are computed at once on the CPU.
    """
    place = choose_device(device)
    model = load_backbone(backbone, layers=max(layers))
    for path, error in found.failures:
        report.fail(path, error)
    sounds = [Sound(str(one.path), one.name) for one in found.recordings]
    most = [] if settings["max_hours"] is None else [3600 * settings["max_hours"]]
    most += [] if settings["max_frames"] is None else [settings["max_frames"] * model.sizes.hop_length / 16_000]
    unfinished = printable(str(work_folder(folder)))
    say_when_interrupted(f"what is done is kept in {unfinished}, and the same command goes on from there")
    with orderly(), FitProgress(report, sounds, min(most, default=None)) as progress:
        fit = fit_semantic_tokenizer(
            sounds,
            model,
            layers,
            folder,
            dtype=torch.float32 if float32 else torch.float16,
            device=place,
            threads=options.threads(jobs, place),
            backbone_name=Path(backbone).name,
            listener=progress,
            **settings,
        )
    return tell(fit, folder, report, progress)


class FitProgress(Listener):
    """Two bars, one for recordings and one for codebooks, and a line for every recording that fails.

    Args:
        report: takes the failures.
        sounds: all recordings.
        seconds: of audio that are read at most; None for all.

    Attributes:
        resumed: recordings that an earlier run had done.
        times: when recordings and codebooks were begun and done.
    """

    def __init__(self, report: Report, sounds: Sequence[Sound], seconds: float | None) -> None:
        self._report, self._sounds, self._seconds = report, sounds, seconds
        self._show = sys.stderr.isatty() and not report.quiet
        self._bars = ExitStack()
        self._meter = Meter()
        self.resumed = 0
        self.times = [time.perf_counter()]

    def __enter__(self) -> Self:
        sizes = [_size(sound) for sound in self._sounds] if self._seconds is None else [int(self._seconds)]
        self._start("read", sum(sizes), len(self._sounds))
        return self

    def __exit__(self, *error: object) -> None:
        self._report.write = None
        self._bars.close()

    def finished(self, sound: Sound, entry: Entry, error: Exception | None, *, before: bool) -> None:
        """Show one more recording."""
        self.resumed += before
        if error is not None:
            self._report.fail(sound.path, error)
        self._meter.advance(_size(sound) if self._seconds is None else entry.seconds, entry.seconds)
        self._meter.file_done()

    def fitted(self, done: int, total: int) -> None:
        """Show one more codebook; none at the start."""
        self.times.append(time.perf_counter())
        if done:
            self._meter.advance(1, 0.0)
            self._meter.file_done()
        else:
            self._bars.close()
            self._start("fitted", total, total)

    def _start(self, verb: str, size: int, count: int) -> None:
        self._meter = self._bars.enter_context(meter(verb, size, count, show=self._show))
        self._report.write = self._meter.write


def tell(fit: SemanticFit, folder: Path, report: Report, progress: FitProgress) -> int:
    """Print the summary of a fit, and return the exit code."""
    record = fit.record
    data = record["data"]
    ended = time.perf_counter()
    if report.as_json:
        failures = [{"input": f.source, "error": f.line, "exit_code": f.code} for f in report.failures]
        summary = {
            "files": data["files"],
            "failures": len(report.failures),
            "too_short": len(data["too_short"]),
            "ignored": report.ignored,
            "resumed": progress.resumed,
            "audio_hours": data["hours"],
            "frames": data["frames"],
            "features_seconds": progress.times[1] - progress.times[0],
            "kmeans_seconds": progress.times[-1] - progress.times[1],
            "elapsed_seconds": ended - progress.times[0],
        }
        emit_json({"output": str(folder), **record, "failures": failures, "summary": summary})
    elif not report.quiet:
        emit(_line(record, folder, len(report.failures)))
    return SOME_FAILED if report.failures else DONE


def _line(record: dict[str, Any], folder: Path, failures: int) -> str:
    data, books = record["data"], record["codebooks"]
    sizes = sorted({book["size"] for book in books})
    parts = [
        f"fitted {len(books)} codebook{'s' * (len(books) != 1)} of {' and '.join(f'{size:,}' for size in sizes)}",
        f"{data['files']:,} file{'s' * (data['files'] != 1)}",
        f"{data['hours']:.4g} h",
        f"{data['frames']:,} frames",
        f"{failures:,} failure{'s' * (failures != 1)}",
    ]
    if data["too_short"]:
        parts.append(f"{len(data['too_short']):,} too short")
    return f"{', '.join(parts)}: {printable(str(folder))} ({record['fingerprint']})"


def _size(sound: Sound) -> int:
    try:
        return Path(sound.path).stat().st_size
    except OSError:
        return 0
