"""Results of probes: one file for each tokenizer, with all that its scores, their intervals and their cost follow from.

    results = read_results("wavlm.json")
    results.task("ks").measure.mean
    write_results(results, "copy.json")

The format is JSON, versioned, and checked when it is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write
from tokaudio.errors import one_line
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure
from tokaudio.probes.packing import Packer, unpacked, unpacked_arrays
from tokaudio.probes.records import from_plain, to_plain

FORMAT = "tokaudio-probe-results"
VERSION = 2
"""That is written. What version 1 wrote is read too: it had every array as a list."""

AXES = ("content", "speaker", "paralinguistic", "sound", "language_model", "generative")
"""What tasks ask for. Rankings keep content, speaker and generative tasks apart."""

BASELINES = ("majority", "random_tokens", "untrained_encoder", "log_mel")
"""References without which the score of a discriminative task says little."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a tokenizer costs; None where it was not measured.

    Attributes:
        parameters: of encoder and decoder together.
        encode_real_time_factor: seconds of computing for one second of audio.
        decode_real_time_factor: likewise.
        peak_memory_bytes: of the process while it encoded.
        bitrate_bps: bits of codes for one second of audio.
        token_rate: codes for one second of audio, over all codebooks.
    """

    parameters: int | None = None
    encode_real_time_factor: float | None = None
    decode_real_time_factor: float | None = None
    peak_memory_bytes: int | None = None
    bitrate_bps: float | None = None
    token_rate: float | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one probe scored on one task.

    Attributes:
        task: its short name, such as `ks`.
        axis: one of `AXES`.
        corpus: which data it was.
        probe: the head and features that were trained, such as `linear`.
        probe_version: scores of different versions are never compared.
        measure: the metric that ranks, over all runs.
        others: further metrics of the same runs.
        references: the same metric and seeds without this tokenizer's tokens, by name: those of `BASELINES`, and
            `continuous` for the tokenizer's own features before quantization.
        shuffled: scores after training on permuted labels, one for each permutation.
        shuffled_limits: of each of them, what chance does not do better than: see
            [`naming_band`][tokaudio.probes.chance.naming_band]; empty where the metric knows no chance.
        chance: what guessing scores; None where the metric knows no chance.
        selectivity: score minus that of a control task with a random label for each token; None if not measured.
        sizes: of the data: items of train, valid and test, classes, speakers.
        data_hash: SHA-256 of what was trained and tested on.
        seconds: that the task took.
        notes: what the reader ought to know, one sentence each.
    """

    task: str
    axis: str
    corpus: str
    probe: str
    probe_version: str
    measure: Measure
    others: tuple[Measure, ...] = ()
    references: Mapping[str, Measure] = field(default_factory=dict)
    shuffled: tuple[float, ...] = ()
    shuffled_limits: tuple[float, ...] = ()
    chance: float | None = None
    selectivity: float | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    data_hash: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise ProbeError(f"axis of {self.task} is {self.axis!r}; give one of {', '.join(AXES)}")
        for name, reference in self.references.items():
            if reference.metric != self.measure.metric:
                raise ProbeError(f"{name} of {self.task} is {reference.metric}; give {self.measure.metric}")

    @property
    def comparable(self) -> tuple[str, ...]:
        """What two results must share to be compared: task, corpus, probe, its version, metric and data."""
        return (self.task, self.corpus, self.probe, self.probe_version, self.measure.metric, self.data_hash)

    @property
    def leaks(self) -> bool:
        """Whether a probe that learnt permuted labels did better than chance: then no score of the task is one."""
        sign = 1 if self.measure.about.higher_is_better else -1
        pairs = zip(self.shuffled, self.shuffled_limits, strict=False)
        return any(sign * score > sign * limit for score, limit in pairs)

    @property
    def missing_baselines(self) -> tuple[str, ...]:
        """Baselines that a discriminative task ought to have, and has not."""
        if self.axis in ("generative", "language_model"):
            return ()
        return tuple(name for name in BASELINES if name not in self.references)


@dataclass(frozen=True, slots=True)
class ProbeResults:
    """What the probes say about one tokenizer.

    Attributes:
        tokenizer: its name.
        kind: of tokenizer: semantic, compression, hybrid, or continuous or classical for references.
        fingerprint: of its weights.
        suite: which tasks were asked for, such as `quick`.
        tasks: what each scored.
        settings: of the tokenizer: number of codebooks and the like.
        costs: what the tokenizer costs.
        machine: processor, cores, system.
        versions: of tokaudio, torch, numpy and Python.
        hashes: SHA-256 of weights, data and code, by name.
        started: date and time in UTC, as ISO 8601.
        seconds: that everything took.
    """

    tokenizer: str
    kind: str
    fingerprint: str
    suite: str
    tasks: tuple[TaskResult, ...]
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    machine: Mapping[str, str | int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        names = [(one.task, one.corpus, one.probe) for one in self.tasks]
        if len(set(names)) < len(names):
            raise ProbeError(f"results of {self.tokenizer} hold a task twice; keep one of each")

    def task(self, name: str) -> TaskResult:
        """Return the first result of a task.

        Raises:
            ProbeError: if there is none.
        """
        for one in self.tasks:
            if one.task == name:
                return one
        raise ProbeError(f"{self.tokenizer} has no task {name!r}; it has {', '.join(one.task for one in self.tasks)}")

    def to_json(self) -> str:
        """Return everything as JSON."""
        packer = Packer()
        document = {"format": FORMAT, "version": VERSION} | to_plain(self, packer.pack) | {"arrays": packer.arrays}
        return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"


def results_from_json(text: str | bytes, source: str = "results") -> ProbeResults:
    """Return the results that JSON describes.

    Args:
        text: the JSON.
        source: the file or whatever else errors shall name.

    Raises:
        ProbeError: it is no JSON, no results, of a later version, or a field is missing, unknown or of another kind.

    Example:
        >>> empty = ProbeResults("mini-codec", "compression", "12ab", "quick", tasks=())
        >>> results_from_json(empty.to_json()) == empty
        True
    """
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProbeError(one_line(source, "is no JSON", "give results that tokaudio probe wrote")) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ProbeError(one_line(source, "holds no results of probes", "give results that tokaudio probe wrote"))
    version = document.get("version")
    if version not in (1, VERSION):
        problem = f"is of version {version!r}, and this tokaudio reads 1 to {VERSION}"
        raise ProbeError(one_line(source, problem, "probe again, or use the tokaudio that wrote it"))
    fields = {name: value for name, value in document.items() if name not in ("format", "version")}
    try:
        fields = unpacked(fields, unpacked_arrays(fields.pop("arrays", [])))
    except ValueError as error:
        raise ProbeError(one_line(source, str(error), "probe again, or use a whole copy of the file")) from error
    return from_plain(ProbeResults, fields, source)


def read_results(path: str | os.PathLike[str]) -> ProbeResults:
    """Read a file of results.

    Raises:
        ProbeError: if it cannot be read or holds no results.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_results(ProbeResults("mini-codec", "compression", "12ab", "quick", ()), f"{folder}/a.json")
        ...     read_results(f"{folder}/a.json").tokenizer
        'mini-codec'
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise ProbeError(one_line(path, problem, "give a file of results")) from error
    return results_from_json(text, os.fspath(path))


def write_results(results: ProbeResults, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write results to a file, whole or not at all.

    Raises:
        OutputError: if the file exists (without `overwrite`) or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_results(ProbeResults("mini-codec", "compression", "12ab", "quick", ()), f"{folder}/a.json")
        ...     Path(folder, "a.json").stat().st_size > 100
        True
    """
    atomic_write(path, results.to_json().encode(), overwrite=overwrite)
