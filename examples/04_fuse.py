"""Two tokenizers as one: semantic units beside the codes of a codec, which makes the sound.

Run: python examples/04_fuse.py [SEMANTIC] [OUT_FOLDER]
"""

import sys
from pathlib import Path

import torch

from tokaudio import Tokenizer, fuse
from tokaudio.nn.ssl import SpeechSizes
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.training.frames import FramesInMemory
from tokaudio.training.kmeans import fit_kmeans

recording = Path(__file__).parent / "audio" / "speech.wav"
out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()


def stand_in() -> SemanticTokenizer:
    """Units of a small speech model that was never trained: for the shapes, not for the meaning."""
    torch.manual_seed(0)
    sizes = SpeechSizes(width=64, layers=2, heads=2, inner=128, conv_widths=(32,) * 7)
    units = SemanticTokenizer.untrained("stand-in", sizes, layers=(2,), codebook_size=50).eval()
    frames = units.features(recording)[0].T
    fit = fit_kmeans(FramesInMemory(frames), 50)
    units.quantizer.books[0].table.copy_(fit.centroids)
    return units


semantic = Tokenizer.from_pretrained(sys.argv[1]) if len(sys.argv) > 1 else stand_in()
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
runs = units.dedup()
print(f"{units}: {int(runs.lengths[0])} runs of {runs.frames_per_run:.2f} frames on average")

# Vectors for a language model: both parts, one above the other.
print("embed [B, D, T]:", list(fused.embed(tokens).shape))

folder = fused.save_pretrained(out / "units-and-codec")
assert Tokenizer.from_pretrained(folder).encode(recording) == tokens
print("saved:", *sorted(path.name for path in folder.iterdir()))
