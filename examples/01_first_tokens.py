"""Sound to tokens, tokens to sound, and the tokens to a file and back.

Run: python examples/01_first_tokens.py [IN.wav] [OUT_FOLDER]
"""

import sys
from pathlib import Path

from tokaudio import Tokenizer, Tokens
from tokaudio.audio import write_audio

HERE = Path(__file__).parent
recording = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "audio" / "speech.wav"
out = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()

tokenizer = Tokenizer.from_pretrained("mini-codec")
tokens = tokenizer.encode(recording)
print(tokens)
print("codes [B, K, T]:", list(tokens.codes.shape), "first frame:", tokens.codes[0, :, 0].tolist())

tokens.save(out / "speech.npz", overwrite=True)
assert Tokens.load(out / "speech.npz") == tokens

audio = tokenizer.decode(tokens)
write_audio(out / "speech-decoded.wav", audio[0], tokenizer.spec.output_sample_rate, overwrite=True)

# The codebooks are ordered from coarse to fine: any number of the first ones is a valid, cheaper encoding.
for count in (1, 2, 4, 8):
    fewer = tokens.select_codebooks(count)
    error = (tokenizer.decode(fewer) - audio).square().mean().sqrt()
    print(f"{count} codebooks, {fewer.spec.bitrate_kbps:g} kbps: differs from all 8 by {float(error):.4f} (RMS)")
