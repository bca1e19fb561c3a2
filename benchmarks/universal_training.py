"""Does a codec for speech learn music? `python benchmarks/universal_training.py --work FOLDER`.

`mini-codec` is trained on for the same few hundred steps with speech alone, with music alone, and with both in turn;
then all code speech of voices and a song that took no part. As in `examples/05_fine_tune.py`, with several seeds.

Needs: the voices set, and a Debian package index (`apt-get update`); packages go to FOLDER.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from evaluation_sets import DEFAULT_VOICES, every_nth
from keywords import load_clips
from results import machine_line, write_section
from sound_kinds import RATE, pieces
from torch import Tensor

from tokaudio import Tokenizer
from tokaudio.metrics.spectral import mel_distance
from tokaudio.training.fine_tuning import fine_tune
from tokaudio.training.losses import SpectralLoss, SpectralLossWeights
from tokaudio.training.recipes.speech_pool import read_16k

CROP, BATCH, RATE_OF_LEARNING = RATE, 4, 3e-4
LESSONS = {"speech": ("speech",), "music": ("music",), "speech and music in turn": ("speech", "music")}
Clips = dict[str, list[Tensor]]


def clips(work: Path, voices: Path, limit: int) -> tuple[Clips, Clips]:
    """Return what is learnt from, and what is coded afterwards: other voices, and one song of the four."""
    spoken = load_clips(voices, task="read")
    songs = [sound for sound in pieces(work, seconds=4.0) if sound.label == "band"]
    last = max(sound.source for sound in songs)
    sides = []
    for out in (False, True):
        speech = [torch.from_numpy(read_16k(clip.path)) for clip in spoken if clip.held_out is out]
        music = [sound.samples for sound in songs if (sound.source == last) is out]
        sides.append({"speech": speech, "music": music})
    lessons, exam = sides
    return lessons, {kind: every_nth(found, limit) for kind, found in exam.items()}


def trained(lessons: Sequence[Sequence[Tensor]], steps: int, seed: int) -> Tokenizer:
    """Return mini-codec after so many steps, the kinds of sound taking turns."""
    torch.manual_seed(seed)
    start = fine_tune(Tokenizer.from_pretrained("mini-codec"))
    loss = SpectralLoss(RATE, weights=SpectralLossWeights(mel=2.0, magnitude=8.0, complex=1.0))
    learned = [*start.body.parameters(), *start.quantizer.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=RATE_OF_LEARNING)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_OF_LEARNING, total_steps=steps + 1)
    for step in range(steps):
        signal = torch.stack([_crop(lessons[step % len(lessons)]) for _ in range(BATCH)])
        out = start.quantizer(start.body.encode(signal))
        total, _ = loss(start.body.decode(out.quantized), signal)
        optimizer.zero_grad()
        (total + out.loss).backward()
        torch.nn.utils.clip_grad_norm_(learned, 5.0)
        optimizer.step()
        schedule.step()
    return start.tokenizer("trained-on")


def _crop(sounds: Sequence[Tensor]) -> Tensor:
    sound = sounds[int(torch.randint(len(sounds), ()))]
    sound = F.pad(sound, (0, max(0, CROP - len(sound))))
    start = int(torch.randint(len(sound) - CROP + 1, ()))
    return sound[start : start + CROP]


def distance(tokenizer: Tokenizer, sounds: Sequence[Tensor]) -> float:
    """Return the mean mel distance of what is decoded."""
    decoded = [tokenizer.decode(tokenizer.encode(one, RATE))[0, 0].numpy() for one in sounds]
    return float(np.mean([mel_distance(one.numpy(), made, RATE) for one, made in zip(sounds, decoded, strict=True)]))


def row(name: str, found: Mapping[str, Sequence[float]]) -> str:
    """Return a row of the table: means over seeds, the least and the most.

    Example:
        >>> row("music", {"speech": [0.2, 0.3], "music": [0.1]})
        '| music | 0.250 (0.200 to 0.300) | 0.100 |'
    """
    cells = []
    for values in found.values():
        ends = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{ends}")
    return f"| {name} | {' | '.join(cells)} |"


def measure(lessons: Clips, exam: Clips, steps: int, seeds: int) -> list[str]:
    """Return the rows of the table."""
    untouched = Tokenizer.from_pretrained("mini-codec")
    rows = [row("nothing (as it ships)", {kind: [distance(untouched, sounds)] for kind, sounds in exam.items()})]
    for name, kinds in LESSONS.items():
        found: dict[str, list[float]] = {kind: [] for kind in exam}
        for seed in range(seeds):
            tokenizer = trained([lessons[kind] for kind in kinds], steps, seed)
            for kind, sounds in exam.items():
                found[kind].append(distance(tokenizer, sounds))
        rows.append(row(name, found))
        print(rows[-1], flush=True)
    return rows


def main() -> int:
    """Train, measure, and write the section."""
    parser = argparse.ArgumentParser(description="Train mini-codec on with speech, with music, and with both.")
    parser.add_argument("--work", type=Path, required=True, help="folder for packages")
    parser.add_argument("--voices", type=Path, default=DEFAULT_VOICES, help="folder of the voices set")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=30, help="clips of each kind that are coded")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lessons, exam = clips(options.work, options.voices, options.limit)
    told = (
        f"`mini-codec` trained on for {options.steps} steps of {BATCH} s; {options.seeds} seeds, mean and range of the "
        f"mean mel distance over {len(exam['speech'])} sentences of four voices and {len(exam['music'])} pieces of a "
        "song, none of which took part."
    )
    head = ["## A codec for speech that learns music", "", machine_line(("torch",), threads=1), told, ""]
    rows = measure(lessons, exam, options.steps, options.seeds)
    body = "\n".join([*head, "| trained on with | speech | music |", "|---|---:|---:|", *rows])
    print(body)
    if not options.dry_run:
        write_section("universal-training", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
