"""Does this machine compute the codes of published families? A tiny member of each, and its stored codes.

Published weights do not ship, and their codes with them; what a machine might compute otherwise are the networks and
the searches of a family. So a member with narrow layers is made here, whose weights are bytes of SHA-256 and therefore
the same everywhere, and its codes of the built-in signal are compared with those that were stored. That these networks
and searches are the reference's is what `tests/parity` shows. With weights at hand, `tokaudio doctor -t NAME --record`
stores codes of the true model. `python -m tokaudio.tokenizers.family_check` stores those of the members again.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokaudio.atomic import atomic_write
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.registry import make_untrained
from tokaudio.tokenizers.self_check import SelfCheck, self_check_signal

_FOLDER = Path(__file__).parents[1] / "assets" / "families"
MEMBERS, CODES = _FOLDER / "members.json", _FOLDER / "codes.npz"


@cache
def _members() -> dict[str, dict[str, Any]]:
    members: dict[str, dict[str, Any]] = json.loads(MEMBERS.read_text(encoding="utf-8"))
    return members


def family_names() -> list[str]:
    """Return the families that have a member here.

    Example:
        >>> "snac" in family_names()
        True
    """
    return sorted(_members())


def tiny_member(family: str) -> Tokenizer:
    """Return the tiny member of a family; its weights are the same to the last bit everywhere.

    Args:
        family: one of `family_names()`.

    Example:
        >>> tiny_member("snac").fingerprint == tiny_member("snac").fingerprint
        True
    """
    member = _members()[family]
    tokenizer = make_untrained(member["config"]).eval().requires_grad_(False)
    for name, value in tokenizer.state_dict().items():
        if value.is_floating_point():
            value.copy_(_weights(name, value.shape, member["gain"]))
    return tokenizer


def _weights(name: str, shape: torch.Size, gain: float) -> Tensor:
    """Return numbers for a tensor: scales near 1, offsets near 0, matrices by the size of what they add up."""
    count = math.prod(shape)
    blocks = -(-2 * count // 32)
    stream = b"".join(hashlib.sha256(f"{name} {block}".encode()).digest() for block in range(blocks))
    # Whole numbers over a power of two are exact in float32.
    uniform = torch.from_numpy(np.frombuffer(stream, "<i2")[:count].astype(np.float32) / 32_768).reshape(shape)
    if len(shape) >= 2:
        return uniform * (gain * math.sqrt(3 / math.prod(shape[1:])))
    return 1 + uniform / 4 if any(word in name for word in ("weight", "alpha", "scale", "norm")) else uniform / 8


def member_codes(family: str) -> Tensor:
    """Return the codes `[K, T]` of a second of the built-in signal by a family's member, int64 on the CPU.

    Example:
        >>> member_codes("snac").shape[0]
        3
    """
    tokenizer = tiny_member(family)
    rate, channels = tokenizer.spec.sample_rate, tokenizer.spec.channels
    return tokenizer.encode(self_check_signal(rate, channels)[:, :rate], rate).codes[0]


def check_family(family: str) -> SelfCheck:
    """Compare the codes of a family's member with those that were stored.

    Example:
        >>> check_family("snac").total
        1500
    """
    with np.load(CODES, allow_pickle=False) as stored:
        if family not in stored.files:
            return SelfCheck("missing")
        expected = torch.from_numpy(stored[family].astype(np.int64))
    codes = member_codes(family)
    if codes.shape != expected.shape:
        return SelfCheck("differs", 0, codes.numel())
    equal = int((codes == expected).sum())
    return SelfCheck("exact" if equal == codes.numel() else "differs", equal, codes.numel())


def main() -> int:
    """Store the codes of all members."""
    stream, codes = io.BytesIO(), {name: member_codes(name).numpy().astype(np.uint16) for name in family_names()}
    np.savez_compressed(stream, **codes)  # type: ignore[arg-type]
    atomic_write(CODES, stream.getvalue(), overwrite=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
