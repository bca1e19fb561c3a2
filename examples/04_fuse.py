"""Two tokenizers as one: semantic units beside the codes of a codec, which makes the sound.

Run: python examples/04_fuse.py [SEMANTIC] [OUT_FOLDER]
"""

import sys
from pathlib import Path

import torch

from tokaudio import Tokenizer, fuse

recording = Path(__file__).parent / "audio" / "speech.wav"
out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()

semantic = Tokenizer.from_pretrained(sys.argv[1] if len(sys.argv) > 1 else "mini-semantic")
fused = fuse(semantic, "mini-codec", name="units-and-codec")
print(", ".join(f"{book.role} {book.size}" for book in fused.spec.codebooks))

tokens = fused.encode(recording)
print(tokens)

# Each part's tokens are those that it makes alone, and the sound is that of the codec.
units, codes = fused.split(tokens)
assert torch.equal(units.codes, semantic.encode(recording).codes)
assert codes == fused.compression.encode(recording)
assert torch.equal(fused.decode(tokens), fused.compression.decode(codes))

# The units alone come first, so that a language model may read them alone; as runs they are shorter.
print(units.dedup())

# Vectors for a language model: both parts, one above the other.
print("embed [B, D, T]:", list(fused.embed(tokens).shape))

folder = fused.save_pretrained(out / "units-and-codec")
assert Tokenizer.from_pretrained(folder).encode(recording) == tokens
print("saved:", *sorted(path.name for path in folder.iterdir()))
