"""Which layers to cluster, and into how many clusters: what the codes of each choice say about the frames they are of.

K-means is fitted to each layer of a backbone and to MFCC, of one part of the recordings; the codes of the others are
compared with phones, speakers, pitch and energy. HuBERT compares layers like this by phones alone (arXiv:2106.07447,
section V-C and figure 2); that layers differ in what they keep of the voice is a finding of arXiv:2406.10735.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tokaudio.analysis.frames.attributes import binned
from tokaudio.analysis.layer_study.gathering import Gathered, Listener, gather
from tokaudio.analysis.layer_study.study import LayerStudy, Measurement
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.analysis.statistics.information import evaluate
from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.quantizers.search import nearest
from tokaudio.tokenizers.backbones import Backbone
from tokaudio.training.frames import Frames, View
from tokaudio.training.kmeans import fit_kmeans

SIZES = (100, 500, 1000, 2000)
# Labels that last longer than the sounds of speech: their floor keeps neighbours together.
_LASTING = ("speaker",)
_BINS = 16
# Codes whose frames are fewer than these say little, and too much of it by chance.
_FEW = 10


def study_layers(
    recordings: Sequence[Recording],
    backbone: Backbone,
    folder: Path,
    *,
    name: str,
    layers: Sequence[int] | None = None,
    sizes: Sequence[int] = SIZES,
    labs: Mapping[str, Path] | None = None,
    max_minutes: float = 30.0,
    cepstra: bool = True,
    seed: int = 0,
    device: torch.device | str = "cpu",
    listener: Listener | None = None,
) -> LayerStudy:
    """Cluster the layers of a backbone and measure what the codes say.

    Args:
        recordings: of which as many are read as `max_minutes` allow; three in four are clustered, the others measured.
        backbone: in eval mode.
        folder: where features are written: 2 bytes for each number of each layer of each frame.
        name: of the backbone.
        layers: numbers from 0; all by default.
        sizes: numbers of clusters; those with more clusters than frames are left out, and a note says so.
        labs: `.lab` files with phones, by name of the recording without its suffix.
        max_minutes: of audio.
        cepstra: cluster MFCC as well, for comparison.
        seed: of everything random.
        device: where the backbone is.
        listener: hears how it goes on.

    Raises:
        AnalysisError: if there is nothing to cluster or nothing to compare with, or a layer is not there.
        OutputError: if the disk takes no more.
    """
    chosen, wanted = _checked(name, backbone, layers, sizes)
    listener = listener or Listener()
    found = gather(
        recordings,
        backbone,
        folder,
        layers=chosen,
        labs=labs,
        max_minutes=max_minutes,
        seed=seed,
        device=device,
        listener=listener,
    )
    kept = [size for size in wanted if size <= found.training.shape[0]]
    if not kept:
        problem = f"{found.training.shape[0]} frames for {wanted[0]} clusters"
        raise AnalysisError(one_line(name, problem, "give more audio or fewer clusters"))
    labels, notes = _attributes(found)
    notes = [*_notes(found, wanted, kept), *notes]
    measurements = _measure(found, labels, kept, cepstra=cepstra, seed=seed, device=device, listener=listener)
    facts: dict[str, int | float | str] = {
        "recordings": found.recordings,
        "measured_recordings": found.measured,
        "failed_recordings": found.failed,
        "minutes": found.seconds / 60,
        "clustered_frames": found.training.shape[0],
        "measured_frames": found.held_out.shape[0],
        "seed": seed,
    }
    return LayerStudy(name, chosen, tuple(kept), tuple(labels), tuple(measurements), facts, tuple(notes))


def _checked(
    name: str, backbone: Backbone, layers: Sequence[int] | None, sizes: Sequence[int]
) -> tuple[tuple[int, ...], list[int]]:
    """Return the layers and, in ascending order, the numbers of clusters."""
    last = backbone.sizes.layers
    chosen = tuple(range(last + 1)) if layers is None else tuple(layers)
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= number <= last for number in chosen):
        raise AnalysisError(one_line(name, f"layers are {list(chosen)}", f"give different ones from 0 to {last}"))
    wanted = sorted(set(sizes))
    if not wanted or wanted[0] < 2:
        raise AnalysisError(one_line(name, f"numbers of clusters are {wanted}", "give 2 or more"))
    return chosen, wanted


def assigned(frames: Frames, centroids: Tensor) -> Integers:
    """Return the index of the nearest centroid `[V, D]` of each frame `[N]`."""
    codes: Integers = torch.cat([nearest(rows, centroids) for rows in frames.blocks()]).numpy()
    return codes


def _measure(
    found: Gathered,
    labels: Mapping[str, Integers],
    sizes: Sequence[int],
    *,
    cepstra: bool,
    seed: int,
    device: torch.device | str,
    listener: Listener,
) -> list[Measurement]:
    pairs = list(_features(found, cepstra))
    measurements: list[Measurement] = []
    done, total = 0, len(pairs) * len(sizes)
    listener.clustered(done, total)
    for layer, training, held_out in pairs:
        for size in sizes:
            fit = fit_kmeans(training, size, seed=seed, restarts=1, steps=6, passes=1, device=device)
            codes = assigned(held_out, fit.centroids)
            for attribute, label in labels.items():
                information = evaluate(codes, label, seed=seed, runs=attribute in _LASTING)
                measurements.append(Measurement(layer, size, attribute, information))
            done += 1
            listener.clustered(done, total)
    return measurements


def _features(found: Gathered, cepstra: bool) -> Iterator[tuple[int | None, Frames, Frames]]:
    """Yield each layer, and None for MFCC, with its frames to cluster and to measure."""
    if cepstra:
        yield None, *found.cepstra
    for index, layer in enumerate(found.layers):
        columns = slice(index * found.width, (index + 1) * found.width)
        yield layer, View(found.training, columns), View(found.held_out, columns)


def _attributes(found: Gathered) -> tuple[dict[str, Integers], list[str]]:
    """Return integers for each frame and attribute that says anything, and why others are left out.

    Raises:
        AnalysisError: if there is none.
    """
    kept: dict[str, Integers] = {}
    notes: list[str] = []
    for name, values in found.labels.items():
        numbers: Integers = values if values.dtype.kind == "i" else binned(values, bins=_BINS)
        different = len(np.unique(numbers[numbers >= 0]))
        if different > 1:
            kept[name] = numbers
        elif name == "phone":
            notes.append("No phones: no label file belongs to a recording that was measured.")
        elif name == "speaker":
            notes.append(
                "No speakers: a manifest with a column speaker or voice, and two of them, would tell."
                if not different
                else "No speakers: there is only one."
            )
        else:
            notes.append(f"No {name}: it is the same, or missing, in all frames that were measured.")
    if not kept:
        raise AnalysisError("nothing is known about any frame; give speech")
    return kept, notes


def _notes(found: Gathered, wanted: Sequence[int], kept: Sequence[int]) -> list[str]:
    notes = []
    frames = found.training.shape[0]
    for size in wanted:
        if size not in kept:
            notes.append(f"{size} clusters are left out: there are only {frames} frames to cluster.")
    if kept and found.held_out.shape[0] < _FEW * kept[-1]:
        notes.append(
            f"{found.held_out.shape[0]} frames are few for {kept[-1]} clusters: differences between large numbers of "
            "clusters are uncertain. More audio helps."
        )
    if found.failed:
        notes.append(f"Recordings that could not be read and were left out: {found.failed}.")
    if 0 < found.unlabelled < found.recordings:
        notes.append(f"Recordings without labels of phones: {found.unlabelled}; their frames count elsewhere only.")
    return notes
