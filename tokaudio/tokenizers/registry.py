"""What can be loaded by name: families of tokenizers, and the tokenizers that ship inside the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from tokaudio.errors import UnknownNameError
from tokaudio.spec import Kind, TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.spectral_codec import SpectralCodec


class Family(Protocol):
    """A class of tokenizers that can be made from a configuration."""

    def from_config(self, config: Mapping[str, Any]) -> Tokenizer:
        """Make an untrained tokenizer."""


FAMILIES: dict[str, Family] = {SpectralCodec.FAMILY: SpectralCodec}


def builtin_folder(name: str) -> Path | None:
    """Return the folder of a tokenizer that ships inside the package, or None."""
    folder = Path(str(files("tokaudio") / "assets" / name))
    known = Path(name).name == name and (folder / "config.json").is_file()
    return folder if known else None


def list_tokenizers(*, kind: Kind | None = None) -> list[str]:
    """Return the names of all tokenizers that can be loaded by name.

    Args:
        kind: only `"semantic"`, `"compression"` or `"hybrid"` ones.

    Example:
        >>> list_tokenizers(kind="compression")
        ['mini-codec']
    """
    assets = Path(str(files("tokaudio") / "assets"))
    names = sorted(path.parent.name for path in assets.glob("*/config.json"))
    return [name for name in names if kind is None or tokenizer_spec(name).kind == kind]


def tokenizer_spec(name: str) -> TokenizerSpec:
    """Return the facts about a tokenizer without loading its weights.

    Raises:
        UnknownNameError: if nothing of this name exists.

    Example:
        >>> tokenizer_spec("mini-codec").frame_rate
        Fraction(50, 1)
    """
    folder = builtin_folder(name)
    if folder is None:
        raise UnknownNameError(f"no tokenizer is called {name!r}; there are {', '.join(list_tokenizers())}")
    return TokenizerSpec.from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8"))["spec"])


def make_untrained(config: Mapping[str, Any]) -> Tokenizer:
    """Make a tokenizer from a configuration, with random weights.

    Raises:
        UnknownNameError: if its family does not exist.
    """
    family = config.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise UnknownNameError(f"no family is called {family!r}; there are {', '.join(sorted(FAMILIES))}")
    return FAMILIES[family].from_config(config)
