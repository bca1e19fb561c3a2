"""Adapt mini-codec to one voice: train on some of its clips, and hear the gain on the others.

Run: python examples/05_fine_tune.py [FOLDER] [STEPS]

FOLDER holds recordings of the voice, two or more; the last third of them is held out. A dozen steps on the six clips
that come along show that it works; a few hundred steps on minutes of speech do the voice justice.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from tokaudio import Tokenizer
from tokaudio.audio.io import read_audio
from tokaudio.audio.resample import resample
from tokaudio.metrics.spectral import mel_distance
from tokaudio.training.fine_tuning import fine_tune
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "audio" / "voice"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 12
CROP, BATCH = 16_000, 2

torch.manual_seed(0)
original = Tokenizer.from_pretrained("mini-codec")
rate = original.spec.sample_rate
clips = [resample(*read_audio(path), rate).mean(0) for path in sorted(folder.iterdir())]  # [S] each
held = max(1, len(clips) // 3)
lessons, exam = clips[:-held], clips[-held:]


def distance(tokenizer: Tokenizer) -> float:
    """Return the mean mel distance of the held-out clips from what is decoded of their tokens."""
    pairs = [(clip, tokenizer.decode(tokenizer.encode(clip, rate))[0, 0]) for clip in exam]
    return sum(mel_distance(clip.numpy(), made.numpy(), rate) for clip, made in pairs) / len(pairs)


def crop() -> torch.Tensor:
    clip = lessons[int(torch.randint(len(lessons), ()))]
    clip = F.pad(clip, (0, max(0, CROP - len(clip))))
    start = int(torch.randint(len(clip) - CROP + 1, ()))
    return clip[start : start + CROP]


start = fine_tune(original)
loss = SpectralLoss(rate, weights=SpectralLossWeights(mel=2.0, magnitude=8.0, complex=1.0))
learned = [*start.body.parameters(), *start.quantizer.parameters()]
optimizer = torch.optim.AdamW(learned, lr=3e-4)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-4, total_steps=steps + 1)

before = distance(original)
for _ in range(steps):
    signal = torch.stack([crop() for _ in range(BATCH)])
    out = start.quantizer(start.body.encode(signal))
    total, _ = loss(start.body.decode(out.quantized), signal)
    optimizer.zero_grad()
    (total + out.loss).backward()
    torch.nn.utils.clip_grad_norm_(learned, 5.0)
    optimizer.step()
    schedule.step()

adapted = start.tokenizer("my-voice")
adapted.save_pretrained("my-voice")
after = distance(Tokenizer.from_pretrained("my-voice"))
print(f"mel distance on {held} held-out clips: {before:.4f} before, {after:.4f} after {steps} steps")
