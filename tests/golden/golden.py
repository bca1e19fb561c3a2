"""Codes that were stored; after weights have changed, `python -m tests.golden.golden` stores them again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from tests.golden.clips import golden_clips
from tokaudio import Tokenizer, list_tokenizers

CODES, FACTS = Path(__file__).with_name("codes.npz"), Path(__file__).with_name("facts.json")
Codes = dict[str, np.ndarray]


def machine() -> dict[str, str]:
    """Return what codes may depend on where two codewords are as near as rounding."""
    return {"torch": torch.__version__.partition("+")[0], "processor": torch.backends.cpu.get_cpu_capability()}


def golden_codes(name: str) -> Codes:
    """Return the codes `[K, T]` of every clip by `NAME/NUMBER`."""
    tokenizer = Tokenizer.from_pretrained(name)
    spec = tokenizer.spec
    clips = golden_clips(spec.sample_rate, spec.channels)
    codes = [tokenizer.encode(clip).codes[0].numpy().astype(np.uint16) for clip in clips]
    return {f"{name}/{number:02}": code for number, code in enumerate(codes)}


def digest(codes: np.ndarray) -> str:
    """Return the SHA-256 of codes and their shape."""
    return hashlib.sha256(str(codes.shape).encode() + codes.astype("<i8").tobytes()).hexdigest()


def main() -> None:
    """Store the codes of every tokenizer that ships."""
    codes = {key: code for name in list_tokenizers() for key, code in golden_codes(name).items()}
    np.savez_compressed(CODES, **codes)  # type: ignore[arg-type]
    digests = {key: digest(code) for key, code in codes.items()}
    fingerprints = {name: Tokenizer.from_pretrained(name).fingerprint for name in list_tokenizers()}
    facts = {"made with": machine(), "weights": fingerprints, "sha256": digests}
    FACTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
