"""A semantic tokenizer from recordings: features of a backbone's layers to disk, k-means over each, a complete folder.

    fit = fit_semantic_tokenizer(paths, load_backbone("./hubert-base-ls960", layers=9), [6, 9], Path("units"))
    tokens = fit.tokenizer.encode("speech.wav")

Each layer has a codebook of its own, as in the DASB benchmark (arXiv:2406.14294), or several: side by side, each for a
share of its dimensions (product quantization, doi:10.1109/TPAMI.2010.57), or one after the other, each for what is left
over. An interrupted fit goes on where it stopped, and gives what it would have given. The same recordings under the
same names, the same options and the same machine give the same centroids to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save
from torch import Tensor, nn

from tokaudio.atomic import atomic_write
from tokaudio.checkpoints import read_checkpoint
from tokaudio.errors import CheckpointError, one_line
from tokaudio.tokenizers.backbones import Backbone
from tokaudio.tokenizers.fingerprint import fingerprint_of
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.training.extraction import Listener, Sound, extract, in_drawn_order
from tokaudio.training.fit_record import fit_record, save_fitted, versions
from tokaudio.training.frames import FramesOnDisk, View
from tokaudio.training.kmeans import FitError, KMeansFit, fit_kmeans
from tokaudio.training.resumable import WorkFolder


@dataclass(frozen=True, slots=True)
class SemanticFit:
    """What a fit made.

    Attributes:
        tokenizer: as it is loaded from its folder.
        record: what `fit.json` in it holds: data, options, and what became of every codebook.
    """

    tokenizer: SemanticTokenizer
    record: dict[str, Any]


def fit_semantic_tokenizer(
    files: Sequence[str | Path | Sound],
    backbone: Backbone,
    layers: Sequence[int],
    output: Path,
    *,
    codebook_size: int | Sequence[int] = 1000,
    groups: int = 1,
    stages: int = 1,
    seed: int = 0,
    restarts: int = 2,
    steps: int = 5,
    max_hours: float | None = None,
    max_frames: int | None = None,
    dtype: torch.dtype = torch.float16,
    allow_truncated: bool = False,
    device: torch.device | str = "cpu",
    threads: int = 1,
    name: str | None = None,
    backbone_name: str = "",
    licence: str = "",
    start_over: bool = False,
    listener: Listener | None = None,
) -> SemanticFit:
    """Fit k-means to layers of a backbone, and write the tokenizer's folder.

    The folder holds `config.json`, `model.safetensors`, a model card, `self_check.json`, and the record `fit.json`.
    Files of these names that are there are replaced. Until it is finished, features and all else that an interrupted
    fit needs to go on are kept beside it, in the folder that `work_folder` names.

    Args:
        files: recordings, in any order: the seed draws the one they are taken in, by their names.
        backbone: with at least the highest of the layers.
        layers: different numbers, in the order in which their codebooks shall be.
        output: the folder.
        codebook_size: V, one number or one for each layer.
        groups: codebooks per layer side by side.
        stages: codebooks per group, each for what the ones before it leave over.
        seed: of everything random.
        restarts: starts of each k-means, the best of which goes on.
        steps: Lloyd's steps of each k-means over a sample in full width, at most; 0, with one start, is quick.
        max_hours: of audio that is used at most, which bounds time and disk: a frame takes 2 bytes for each dimension
            of each layer in float16.
        max_frames: that are used at most.
        dtype: of features on disk: float16, which costs k-means nothing, or float32.
        allow_truncated: take what is there of cut-off files, which are left out otherwise.
        device: where the network and products are computed.
        threads: pieces and blocks that are worked on at once, which changes nothing in the result.
        name: of the tokenizer; that of the folder by default.
        backbone_name: what record and card call the backbone.
        licence: of the weights.
        start_over: throw away the unfinished work of other options, instead of refusing it.
        listener: hears how it goes on.

    Raises:
        CheckpointError: if layers or sizes do not fit the backbone.
        FitError: if there are fewer frames than centroids.
        OutputError: if the disk takes no more, or another process is at work there.
        WorkError: if there is unfinished work with other options or recordings.
    """
    listener = listener or Listener()
    sizes: dict[str, Any] = {"codebook_size": codebook_size, "groups": groups, "stages": stages}
    about: dict[str, Any] = {
        "licence": licence,
        "origin": f"k-means over layers of {backbone_name}" if backbone_name else "k-means",
    }
    tokenizer = SemanticTokenizer.untrained(name or output.name, backbone.sizes, layers, **sizes, **about)
    _give_weights(tokenizer, cast("nn.Module", backbone))
    tokenizer.eval().requires_grad_(False).to(device)
    limit = _limit(max_hours, max_frames, float(tokenizer.spec.frame_rate))
    if limit is not None:
        _require_enough(limit, tokenizer)
    sounds = in_drawn_order([_sound(file) for file in files], seed)
    facts = {"seed": seed, "most_frames": limit, "features": str(dtype).removeprefix("torch.")}
    facts |= {"allow_truncated": allow_truncated, **_origins(tokenizer, sounds)}
    options = {"groups": groups, "stages": stages, "restarts": restarts, "steps": steps}
    with WorkFolder(work_folder(output), facts, start_over=start_over) as work:
        frames, entries = extract(
            tokenizer,
            sounds,
            work,
            width=tokenizer.quantizer.dim,
            shortest=tokenizer.sizes.shortest,
            limit=limit,
            dtype=dtype,
            allow_truncated=allow_truncated,
            threads=threads,
            listener=listener,
        )
        _require_enough(frames.shape[0], tokenizer)
        books = _fit_books(tokenizer, frames, work.path, seed=seed, options=options, threads=threads, listener=listener)
        record = fit_record(tokenizer, backbone_name, {**facts, **options}, entries, books)
        save_fitted(tokenizer.cpu(), record, output, scratch=work.path / "finished")
        work.remove()
    return SemanticFit(tokenizer, record)


def _origins(tokenizer: SemanticTokenizer, sounds: Sequence[Sound]) -> dict[str, Any]:
    """Return what else decides the features: layers, device, recordings, weights and versions."""
    return {
        "layers": list(tokenizer.layers),
        "device": tokenizer.device.type,
        "recordings": _listing(sounds),
        "backbone": fingerprint_of(cast("nn.Module", tokenizer.backbone).state_dict()),
        "versions": versions(),
    }


def work_folder(output: Path) -> Path:
    """Return where an unfinished fit is kept: beside the output.

    Example:
        >>> work_folder(Path("models/units")).name
        'units.unfinished'
    """
    return output.absolute().with_name(f"{output.absolute().name}.unfinished")


def _give_weights(tokenizer: SemanticTokenizer, backbone: nn.Module) -> None:
    """Copy the weights of as many layers as the tokenizer has."""
    given, own = backbone.state_dict(), cast("nn.Module", tokenizer.backbone)
    missing = [name for name in own.state_dict() if name not in given]
    if missing:
        problem = f"lacks {missing[0]}, which layer {max(tokenizer.layers)} needs"
        raise CheckpointError(one_line("the backbone", problem, "load it with more layers"))
    own.load_state_dict({name: given[name] for name in own.state_dict()})


def _sound(file: str | Path | Sound) -> Sound:
    return file if isinstance(file, Sound) else Sound(str(file), str(file))


def _limit(max_hours: float | None, max_frames: int | None, frame_rate: float) -> int | None:
    """Return the frames that are used at most; None for all."""
    limits = [] if max_frames is None else [max_frames]
    if max_hours is not None:
        limits.append(math.floor(max_hours * 3600 * frame_rate))
    return min(limits, default=None)


def _require_enough(frames: int, tokenizer: SemanticTokenizer) -> None:
    most = max(tokenizer.layer_sizes)
    if frames < most:
        raise FitError(one_line("k-means", f"{frames} frames for {most} centroids", "give more audio or a smaller k"))


def _listing(sounds: Sequence[Sound]) -> str:
    """Return a digest of the names and sizes of recordings, by which unfinished work knows its own."""
    digest = hashlib.sha256()
    for sound in sounds:
        path = Path(sound.path)
        size = path.stat().st_size if path.is_file() else -1
        digest.update(json.dumps([sound.name, size]).encode())
    return digest.hexdigest()


def _fit_books(
    tokenizer: SemanticTokenizer,
    frames: FramesOnDisk,
    folder: Path,
    *,
    seed: int,
    options: Mapping[str, int],
    threads: int,
    listener: Listener,
) -> list[KMeansFit]:
    """Fit every codebook, give it to the tokenizer, and keep it in the folder; an earlier run may have left some."""
    quantizer = tokenizer.quantizer
    fits: list[KMeansFit] = []
    total = quantizer.num_codebooks
    listener.fitted(0, total)
    for number, size in enumerate(quantizer.codebook_sizes):
        part, stage = divmod(number, quantizer.stages)
        columns = slice(part * quantizer.part_dim, (part + 1) * quantizer.part_dim)
        before = [fit.centroids for fit in fits[number - stage : number]]
        key = hashlib.sha256(json.dumps([number, size, quantizer.codebook_sizes, options]).encode()).hexdigest()
        path = folder / f"codebook-{number}-{key[:12]}.safetensors"
        fit = _read(path)
        if fit is None:
            view = View(frames, columns, before)
            fit = fit_kmeans(
                view,
                size,
                seed=seed + number,
                restarts=options["restarts"],
                steps=options["steps"],
                device=tokenizer.device,
                threads=threads,
            )
            atomic_write(path, _bytes(fit), overwrite=True)
        fits.append(fit)
        cast("Any", quantizer.books[number]).table.copy_(fit.centroids)
        listener.fitted(number + 1, total)
    return fits


def _bytes(fit: KMeansFit) -> bytes:
    numbers = torch.tensor([fit.inertia, fit.variance, fit.frames, fit.steps], dtype=torch.float64)
    return save({"centroids": fit.centroids.contiguous(), "counts": fit.counts, "numbers": numbers})


def _read(path: Path) -> KMeansFit | None:
    """Return a codebook that an earlier run finished."""
    if not path.exists():
        return None
    tensors: dict[str, Tensor] = read_checkpoint(path).tensors
    inertia, variance, frames, steps = tensors["numbers"].tolist()
    return KMeansFit(tensors["centroids"], tensors["counts"], inertia, variance, int(frames), int(steps))
