"""Encode and decode sound that arrives in pieces, as from a microphone: the codes are those of the whole recording.

Run: python examples/02_stream.py
"""

from pathlib import Path

import torch

from tokaudio import Tokenizer
from tokaudio.audio import read_audio, resample

samples, rate = read_audio(Path(__file__).parent / "audio" / "speech.wav")
tokenizer = Tokenizer.from_pretrained("mini-codec")
samples = resample(samples, rate, tokenizer.spec.sample_rate)

stream = tokenizer.streaming()
codes, sound = [], []
for piece in samples.split(800, dim=1):  # 50 ms at a time
    codes.append(stream.encoder.push(piece))
    sound.append(stream.decoder.push(codes[-1]))
codes.append(stream.encoder.flush())
sound += [stream.decoder.push(codes[-1]), stream.decoder.flush()]

whole = tokenizer.encode(samples)
assert torch.equal(torch.cat(codes, dim=1), whole.codes[0])
assert torch.equal(torch.cat(sound, dim=1)[:, : samples.shape[1]], tokenizer.decode(whole)[0])
print(f"{len(codes)} pieces, {whole}: the same codes and the same sound as at once")
