"""A program that encodes the golden clips with every tokenizer that ships, and prints what came out.

`python -m tests.contract.everywhere [THREADS]` in any environment must print the same.
"""

from __future__ import annotations

import hashlib
import sys

import torch

from tests.golden.clips import golden_clips
from tokaudio import Tokenizer, list_tokenizers


def digests(runs: int = 1) -> dict[str, str]:
    """Return a digest of the codes of all golden clips by tokenizer; of all runs together."""
    told = {}
    for name in list_tokenizers():
        tokenizer, hashed = Tokenizer.from_pretrained(name), set()
        clips = golden_clips(tokenizer.spec.sample_rate, tokenizer.spec.channels)
        for _ in range(runs):
            codes = [tokenizer.encode(clip).codes.numpy().tobytes() for clip in clips]
            hashed.add(hashlib.sha256(b"|".join(codes)).hexdigest())
        told[name] = " ".join(sorted(hashed))
    return told


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    for name, digest in digests().items():
        print(name, digest)
