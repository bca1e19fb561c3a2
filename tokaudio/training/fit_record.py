"""What is said of a fitted tokenizer: `fit.json`, the model card, and the folder that holds both.

Nothing in it depends on when, how fast or in how many runs the fit was made.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write, output_error
from tokaudio.audio import RESAMPLER
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.pretrained import load_folder
from tokaudio.tokenizers.self_check import write_self_check
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.training.extraction import Entry, data_hash
from tokaudio.training.kmeans import KMeansFit

FILE_NAME = "fit.json"
_FORMAT, _VERSION = "tokaudio-fit", 1
# Written in this order, so that a folder with a configuration has all the rest.
_FILES = ("model.safetensors", "README.md", "self_check.json", FILE_NAME, "config.json")
_OPTIONS = ("groups", "stages", "seed", "restarts", "steps", "most_frames", "features", "allow_truncated", "device")
_HASHED = "SHA-256 of the sorted SHA-256 of the contents of all used files, in hexadecimal digits, a line each"


def versions() -> dict[str, str]:
    """Return the versions that a fit depends on.

    Example:
        >>> sorted(versions())
        ['python', 'resampler', 'tokaudio', 'torch']
    """
    import torch

    from tokaudio import __version__

    return {
        "tokaudio": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "resampler": RESAMPLER,
    }


def fit_record(
    tokenizer: SemanticTokenizer,
    backbone_name: str,
    facts: Mapping[str, Any],
    entries: Sequence[Entry],
    books: Sequence[KMeansFit],
) -> dict[str, Any]:
    """Return what `fit.json` holds.

    Args:
        tokenizer: with its centroids.
        backbone_name: as the user gave it.
        facts: options of the fit.
        entries: the recordings that were read.
        books: fit of each codebook.
    """
    used = [entry for entry in entries if entry.frames]
    named = sorted(entries, key=lambda entry: entry.name)
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "tokenizer": tokenizer.spec.name,
        "fingerprint": tokenizer.fingerprint,
        "backbone": {"name": backbone_name, "fingerprint": facts["backbone"]},
        "options": {
            "layers": list(tokenizer.layers),
            "codebook_size": list(tokenizer.layer_sizes),
            **{name: facts[name] for name in _OPTIONS},
        },
        "data": {
            "sha256": data_hash(entries),
            "sha256_of": _HASHED,
            "files": len(used),
            "hours": sum(entry.seconds for entry in used) / 3600,
            "frames": sum(entry.frames for entry in used),
            "failed": {entry.name: entry.problem for entry in named if entry.problem},
            "too_short": [entry.name for entry in named if entry.short],
        },
        "codebooks": [
            {
                **_place(tokenizer, number),
                "size": len(book.centroids),
                "inertia": book.inertia,
                "explained": book.explained,
                "steps": book.steps,
                "counts": book.counts.tolist(),
            }
            for number, book in enumerate(books)
        ],
        "versions": facts["versions"],
    }


def _place(tokenizer: SemanticTokenizer, number: int) -> dict[str, int]:
    part, stage = divmod(number, tokenizer.quantizer.stages)
    place, group = divmod(part, tokenizer.groups)
    return {"layer": tokenizer.layers[place], "group": group, "stage": stage}


def card_section(record: Mapping[str, Any]) -> str:
    """Return the part of a model card that tells how the tokenizer was fitted."""
    data, options = record["data"], record["options"]
    name = record["backbone"]["name"] or "a backbone"
    rows = [
        f"| {book['layer']} | {book['group']} | {book['stage']} | {book['size']} | "
        f"{sum(count > 0 for count in book['counts'])} | {book['inertia']:.6g} | {100 * book['explained']:.1f} % |"
        for book in record["codebooks"]
    ]
    return "\n".join(
        [
            "## Fit",
            "",
            f"K-means over hidden states of {name} (weights {record['backbone']['fingerprint']}), with tokaudio "
            f"{record['versions']['tokaudio']}, seed {options['seed']}: {data['files']:,} recordings, "
            f"{data['hours']:.4g} hours, {data['frames']:,} frames; {len(data['failed'])} could not be read, "
            f"{len(data['too_short'])} were too short.",
            "",
            f"Data: `{data['sha256']}` ({data['sha256_of']}).",
            "",
            "| layer | group | stage | centroids | with frames | inertia | explained |",
            f"|{'---|' * 7}",
            *rows,
            "",
            "Inertia is the mean squared distance of frames to their centroids; explained is the share of the variance "
            f"that centroids account for (of what earlier stages leave over). Options and counts: `{FILE_NAME}`.",
        ]
    )


def save_fitted(
    tokenizer: SemanticTokenizer, record: Mapping[str, Any], folder: Path, *, scratch: Path
) -> SemanticTokenizer:
    """Write a tokenizer's folder with its record; return the tokenizer.

    Args:
        tokenizer: on the CPU.
        record: from `fit_record`.
        folder: appears whole if it is not there yet; else files are replaced one by one, the configuration last.
        scratch: folder on the same disk to write in first.

    Raises:
        OutputError: if a file cannot be written.
    """
    # An earlier run may have been killed here.
    shutil.rmtree(scratch, ignore_errors=True)
    tokenizer.save_pretrained(scratch)
    card = model_card(tokenizer.spec, tokenizer.fingerprint, card_section(record), decodes=tokenizer.decodes)
    atomic_write(scratch / "README.md", card.encode(), overwrite=True)
    atomic_write(scratch / FILE_NAME, (_json(record) + "\n").encode(), overwrite=True)
    write_self_check(load_folder(scratch), scratch)
    try:
        if folder.exists():
            for name in _FILES:
                (scratch / name).replace(folder / name)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return tokenizer


def _json(record: Mapping[str, Any]) -> str:
    """Return a record as JSON, with the counts of a codebook in one line."""
    text = json.dumps({**record, "codebooks": "?"}, indent=2)
    books = ",\n".join(f"    {json.dumps(book)}" for book in record["codebooks"])
    return text.replace('"codebooks": "?"', f'"codebooks": [\n{books}\n  ]')
