"""Vocoders of units from published files: SpeechBrain's folders, and textlesslib's file and configuration.

    vocoder = load_vocoder("speechbrain/hifigan-hubert-k1000-LibriTTS")
    vocoder = load_vocoder("./code_hifigan/hubert_base_100_lj", layers=(6,))

Sizes follow from the tensors; configurations are asked for what tensors do not tell. Nothing in them is instantiated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tokaudio.checkpoints import check_tensors, fold_weight_norm, read_checkpoint
from tokaudio.checkpoints.configs import read_mapping
from tokaudio.errors import CheckpointError, UnknownNameError, one_line
from tokaudio.hub import fetch_folder, split_name
from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes
from tokaudio.tokenizers.building import load_tensors, make_unfilled, skeleton
from tokaudio.tokenizers.families.fields import Fields
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder
from tokaudio.tokenizers.vocoder_names import code_generator_names, speechbrain_names, unit_sizes

__all__ = ["load_vocoder"]

_SPEECHBRAIN = ("generator.ckpt", "hyperparams.yaml")
# The layers and units per layer of SpeechBrain's vocoders for the DASB benchmark, which their files do not state.
_LAYERS, _UNITS_PER_LAYER = (1, 3, 7, 12, 18, 23), 1000
_REFERENCE = re.compile(r"<([^<>]+)>")
# What parts of a configuration of textlesslib would have to be understood, and are not.
_REFUSED = ("f0", "embedder_params", "num_f0_tokens", "num_style_tokens", "f0_quantizer", "code_vq_params")


def load_vocoder(
    name_or_path: str | os.PathLike[str], *, layers: Sequence[int] | None = None, name: str | None = None
) -> UnitVocoder:
    """Load a vocoder as it was published; it comes in eval mode, on the CPU, in float32.

    Args:
        name_or_path: a folder, the file of weights in it, or a repository `OWNER/NAME` of SpeechBrain on the Hub.
        layers: numbers of the layers whose units it speaks, where its files do not say; by default those of the
            tokenizer that it is given to, if there are as many.
        name: what it is called.

    Raises:
        CheckpointError: if files are missing, damaged, or of a kind that is not known.
        HubError: if files are missing here and the Hub cannot be reached.
        UnknownNameError: if there is no such folder or repository.
    """
    path = Path(name_or_path)
    if not path.exists():
        found = split_name(str(name_or_path))
        if found is None:
            raise UnknownNameError(one_line(path, "is missing", "check the path"))
        name = name or found[0]
        path = fetch_folder(found[0], files=_SPEECHBRAIN, revision=found[1])
    file = _weights(path)
    folded = fold_weight_norm(read_checkpoint(file).tensors, where=str(file))
    tensors = {key.removeprefix("generator."): value for key, value in folded.items()}
    name = name or PublishedSource(path).name
    if "unit_embedding.weight" in tensors:
        vocoder = _speechbrain(tensors, file, name, layers)
    elif "dict.weight" in tensors:
        vocoder = _code_generator(tensors, file, name, layers)
    else:
        remedy = "give a vocoder of SpeechBrain (unit_embedding) or textlesslib (dict)"
        raise CheckpointError(one_line(file, "holds no table of units", remedy))
    return vocoder.eval().requires_grad_(False)


def _weights(path: Path) -> Path:
    if not path.is_dir():
        return path
    # Files of speech-resynthesis have no suffix: g_00500000.
    steps = sorted(file for file in path.glob("g_*") if file.is_file())
    if len(steps) > 1:
        problem = f"holds several generators ({', '.join(file.name for file in steps[:5])})"
        raise CheckpointError(one_line(path, problem, "give the path of the one that you mean"))
    return steps[0] if steps else PublishedSource(path).weight_file(("generator.ckpt", "generator.pt"))


def _made(
    facts: UnitFacts, sizes: UnitHiFiGANSizes, names: Mapping[str, str], tensors: Mapping[str, Tensor], file: Path
) -> UnitVocoder:
    """Return a vocoder with the tensors of a file, whose names are given by our own."""

    def make() -> UnitVocoder:
        return UnitVocoder(facts, sizes)

    expected = skeleton(make) or {}
    # Compared under the names of the file, so that messages say what is wrong there.
    check_tensors(tensors, {names[our]: value for our, value in expected.items()}, str(file))
    vocoder = make_unfilled(make)
    load_tensors(vocoder, {our: tensors[their] for our, their in names.items()}, str(file))
    return vocoder


def _speechbrain(tensors: dict[str, Tensor], file: Path, name: str, layers: Sequence[int] | None) -> UnitVocoder:
    where = file.parent / _SPEECHBRAIN[1]
    whole = read_mapping(where)
    inside = whole.get("generator")
    if not isinstance(inside, Mapping):
        raise CheckpointError(one_line(where, "has no generator in it", "get the configuration of the vocoder"))
    fields = Fields(_resolved(inside, whole), str(where))
    usual = {"skip_token_embedding": False, "normalize_speaker_embeddings": False, "cond_channels": 0}
    fields.values = {**usual, **fields.values}
    if fields.flag("skip_token_embedding"):
        raise CheckpointError(one_line(where, "has skip_token_embedding: it takes no units", "give another vocoder"))
    if fields.get("cond_channels") != 0:
        raise CheckpointError(one_line(where, "has cond_channels, which are not known here", "give another vocoder"))
    # Durations are in the tokens.
    tensors = {key: value for key, value in tensors.items() if not key.startswith("var_predictor.")}
    sizes = unit_sizes(
        tensors,
        table="unit_embedding.weight",
        conv=".conv",
        factors=fields.wholes("upsample_factors"),
        dilations=_rows(fields, "resblock_dilation_sizes"),
        where=str(file),
        padding="reflect",
        normalised=fields.flag("normalize_speaker_embeddings"),
    )
    facts = _facts_of_speechbrain(sizes, Fields(_resolved(whole, whole), str(where)), name, layers)
    return _made(facts, sizes, speechbrain_names(sizes), tensors, file)


def _facts_of_speechbrain(
    sizes: UnitHiFiGANSizes, fields: Fields, name: str, layers: Sequence[int] | None
) -> UnitFacts:
    """Return what is known of a vocoder's units: from the call, else from the file, else as the benchmark has them."""
    rate = fields.whole("sample_rate") if "sample_rate" in fields.values else 16_000
    units = sizes.units - 1
    if layers is None and isinstance(fields.values.get("layer"), list):
        layers = fields.wholes("layer", minimum=0)
    if layers is not None:
        size, own = units // max(1, len(layers)), tuple(layers)
    elif sizes.attention_dim:
        size = _UNITS_PER_LAYER
        own = _LAYERS if units == len(_LAYERS) * size else ()
    else:
        size, own = units, ()
    return UnitFacts(name, size, own, sample_rate=rate, reserved=1, origin=name)


def _code_generator(tensors: dict[str, Tensor], file: Path, name: str, layers: Sequence[int] | None) -> UnitVocoder:
    config = PublishedSource(file).config
    if config is None:
        raise CheckpointError(one_line(file, "has no configuration", "put its config.json next to it"))
    for field in _REFUSED:
        if config.get(field):
            problem = f"has {field} in its configuration: it takes more than units"
            raise CheckpointError(one_line(file, problem, "give a vocoder of units alone"))
    fields = Fields({"sampling_rate": 16_000, **config}, str(file))
    sizes = unit_sizes(
        tensors,
        table="dict.weight",
        conv="",
        factors=fields.wholes("upsample_rates"),
        dilations=_rows(fields, "resblock_dilation_sizes"),
        where=str(file),
    )
    facts = UnitFacts(
        name,
        sizes.units,
        tuple(layers or ()),
        sample_rate=fields.whole("sampling_rate"),
        origin=name,
    )
    return _made(facts, sizes, code_generator_names(sizes), tensors, file)


def _rows(fields: Fields, name: str) -> tuple[tuple[int, ...], ...]:
    """Return a field that is a list of lists of whole numbers."""
    rows = fields.get(name)
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not 1 <= len(rows) <= 16:
        problem = f"has {name} {ascii(rows)[:60]} in its configuration"
        raise CheckpointError(one_line(fields.where, problem, "it must be a list of lists of whole numbers"))
    return tuple(Fields({name: row}, fields.where).wholes(name) for row in rows)


def _resolved(fields: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields in which `<name>`, what HyperPyYAML writes behind `!ref`, is what the file says there.

    Example:
        >>> _resolved({"width": "<dim>", "other": "<dim> * 2"}, {"dim": 5})
        {'width': 5, 'other': '<dim> * 2'}
    """
    return {name: _behind(value, whole) for name, value in fields.items()}


def _behind(value: Any, whole: Mapping[str, Any], steps: int = 8) -> Any:
    reference = _REFERENCE.fullmatch(value.strip()) if isinstance(value, str) and steps else None
    if reference is None or reference[1] not in whole:
        return value
    return _behind(whole[reference[1]], whole, steps - 1)
