"""tokaudio: discrete audio tokens behind one interface.

Map of the package:

- `Tokenizer`: `encode` sound to `Tokens`, `decode` them back; `from_pretrained` by name or folder.
- `Tokens`: codes `[B, K, T]` with lengths and the facts about where they came from; saved as `.npz`.
- `TokenizerSpec`, `CodebookSpec`: rates, codebooks, licence; all bitrate arithmetic.
- `fuse`: one hybrid tokenizer out of any two.
- `list_tokenizers`, `tokenizer_spec`: what can be loaded by name.
- `tokaudio.layouts`: codes as ids of a language model and back: vocabularies, patterns, BPE, collators.
- `tokaudio.quantizers`, `tokaudio.audio`, `tokaudio.training`, `tokaudio.metrics`: the parts.
- `tokaudio.testing`: checks that any tokenizer or quantizer can be put through.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokaudio.catalogue import list_tokenizers, tokenizer_spec
    from tokaudio.errors import TokaudioError
    from tokaudio.spec import CodebookSpec, TokenizerSpec
    from tokaudio.tokenizers import Tokenizer
    from tokaudio.tokenizers.fused import fuse
    from tokaudio.tokens import Tokens

__version__ = "0.1.0"

_HOMES = {
    "CodebookSpec": "tokaudio.spec",
    "TokaudioError": "tokaudio.errors",
    "Tokenizer": "tokaudio.tokenizers",
    "TokenizerSpec": "tokaudio.spec",
    "Tokens": "tokaudio.tokens",
    "fuse": "tokaudio.tokenizers.fused",
    "list_tokenizers": "tokaudio.catalogue",
    "tokenizer_spec": "tokaudio.catalogue",
}

__all__ = [
    "CodebookSpec",
    "TokaudioError",
    "Tokenizer",
    "TokenizerSpec",
    "Tokens",
    "fuse",
    "list_tokenizers",
    "tokenizer_spec",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tokaudio' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
