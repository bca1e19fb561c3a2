"""Folders of fused tokenizers: a `config.json`, and a sub-folder for each part, a tokenizer of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokaudio.atomic import atomic_write
from tokaudio.errors import CheckpointError, TokaudioError, one_line
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.card import model_card
from tokaudio.tokenizers.fused import FusedTokenizer
from tokaudio.tokenizers.fused_spec import COMPRESSION, SEMANTIC
from tokaudio.tokenizers.pretrained import FORMAT, VERSION, load_folder, read_config

_ABOUT = """## Parts

`semantic/` is {semantic}, `compression/` is {compression}; each is a tokenizer of its own. Sound is decoded from the
codebooks of the second alone."""


def save_fused(tokenizer: FusedTokenizer, folder: Path) -> Path:
    """Write the folder of a fused tokenizer; what joins the parts comes last, so that it is whole or not there.

    Raises:
        OutputError: if a folder cannot be made or written.
    """
    names = {SEMANTIC: tokenizer.semantic, COMPRESSION: tokenizer.compression}
    for name, part in names.items():
        part.save_pretrained(folder / name)
    about = _ABOUT.format(**{name: part.spec.name for name, part in names.items()})
    card = model_card(tokenizer.spec, tokenizer.fingerprint, about)
    config = {"format": FORMAT, "version": VERSION, **tokenizer.config(), "spec": tokenizer.spec.to_dict()}
    atomic_write(folder / "README.md", card.encode(), overwrite=True)
    atomic_write(folder / "config.json", (json.dumps(config, indent=2) + "\n").encode(), overwrite=True)
    return folder


def load_fused(folder: Path, config: Mapping[str, Any]) -> FusedTokenizer:
    """Load a fused tokenizer from its folder.

    Args:
        folder: of `save_fused`.
        config: what its `config.json` holds.

    Raises:
        CheckpointError: if a part is missing, damaged, fused itself, or not one of those that were fused.
    """
    path = folder / "config.json"
    parts = []
    for name in (SEMANTIC, COMPRESSION):
        # Judged before it is loaded: a link to the folder itself must not be followed for ever.
        if read_config(folder / name / "config.json").get("family") == FusedTokenizer.FAMILY:
            raise CheckpointError(one_line(folder / name, "is fused itself", "get an intact copy"))
        parts.append(load_folder(folder / name))
    try:
        spec = TokenizerSpec.from_dict(config.get("spec", {}))
        tokenizer = FusedTokenizer(*parts, name=spec.name).eval()
    except TokaudioError as error:
        raise CheckpointError(one_line(path, str(error), "get an intact copy")) from error
    if tokenizer.spec != spec:
        raise CheckpointError(one_line(path, "does not fit the parts beside it", "fuse them again"))
    return tokenizer
