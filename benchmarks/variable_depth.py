"""What variable depth gains: mel distance at equal bitrate, on sentences with pauses between them.

    python benchmarks/variable_depth.py [--voices VOICES] [--no-write]

Sentences of the four evaluation voices are joined four at a time. The pause after each is 0.3 to 1.2 s of the room
tone that ends its own recording, run forth and back. `mini-codec` codes them with a fixed number of codebooks, and
with a variable one at the same bitrate, in which the plain numbers that tell the depth are counted.

Needs: `pip install soundfile soxr pystoi`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import evaluation_sets
import numpy as np
import torch
from numpy.typing import NDArray
from results import machine_line, write_section

from tokaudio import Tokenizer, Tokens
from tokaudio.metrics.intelligibility import stoi
from tokaudio.metrics.spectral import mel_distance
from tokaudio.tokenizers.variable_depth import allocate_depth, sound_errors, vector_errors

RATE = evaluation_sets.SAMPLE_RATE
Audio = NDArray[np.float32]


def room_tone(audio: Audio) -> Audio:
    """Return the quiet end of a recording: its last pieces of 10 ms below -60 dB, one at least."""
    step = RATE // 100
    count = len(audio) // step
    levels = (audio[len(audio) - count * step :].reshape(count, step).astype(np.float64) ** 2).mean(axis=1)
    loud = np.flatnonzero(levels > 1e-6)
    quiet = count - 1 - int(loud[-1]) if len(loud) else count
    return audio[-max(quiet, 1) * step :]


def pause(tone: Audio, length: int) -> Audio:
    """Return `length` samples of a piece of sound that runs back and forth."""
    there = np.concatenate([tone[::-1], tone])
    return np.tile(there, -(-length // len(there)))[:length]


def with_pauses(clips: Sequence[evaluation_sets.Clip], *, together: int = 4) -> list[Audio]:
    """Return sentences joined some at a time, in their order, each with a pause after it."""
    random = np.random.default_rng(0)
    joined = []
    for first in range(0, len(clips), together):
        parts = []
        for clip in clips[first : first + together]:
            length = int(random.uniform(0.3, 1.2) * RATE)
            parts += [clip.audio, pause(room_tone(clip.audio), length)]
        joined.append(np.concatenate(parts))
    return joined


def entropy_bits(depths: Sequence[Sequence[int]], depth_count: int) -> float:
    """Return the bits of depths, one sequence per item, under an adaptive code that knows the depth before.

    Each item starts anew; counts start at a half (Krichevsky and Trofimov 1981), which arithmetic coding can reach.

    Example:
        >>> entropy_bits([[1]], 2)
        1.0
    """
    bits = 0.0
    for row in depths:
        counts, before = np.full((depth_count + 1, depth_count), 0.5), depth_count
        for depth in row:
            bits -= math.log2(counts[before, depth - 1] / counts[before].sum())
            counts[before, depth - 1] += 1
            before = depth - 1
    return bits


def measure(codec: Tokenizer, items: list[Audio], tokens: Sequence[Tokens]) -> tuple[float, float]:
    """Return mean mel distance and mean STOI."""
    sounds = [codec.decode(coded)[0, 0].numpy() for coded in tokens]
    pairs = list(zip(items, sounds, strict=True))
    mel = float(np.mean([mel_distance(item, sound, RATE) for item, sound in pairs]))
    return mel, float(np.mean([stoi(item, sound, RATE) for item, sound in pairs]))


def table(codec: Tokenizer, items: list[Audio], *, hold: int, counts: Sequence[int]) -> list[str]:
    """Return the rows of the table."""
    whole = codec.encode([torch.from_numpy(item) for item in items], RATE)
    clips = [torch.from_numpy(item) for item in items]
    # The errors at every depth are the same at every rate.
    by_audio, by_sound = sound_errors(codec, whole, clips, RATE), sound_errors(codec, whole)
    by_vectors = vector_errors(codec, whole)
    rows = ["| kbit/s | codebooks of a frame | mean | depth, kbit/s | the same, entropy-coded | mel distance | STOI |"]
    rows.append("|---|---|---|---|---|---|---|")
    ways: dict[str, Callable[[float], Tokens]] = {
        "variable, by the audio": lambda kbps: allocate_depth(
            codec, whole, bitrate_kbps=kbps, judge=by_audio, hold=hold
        ),
        "variable, by what all codebooks decode to": lambda kbps: allocate_depth(
            codec, whole, bitrate_kbps=kbps, judge=by_sound, hold=hold
        ),
        "variable, by vectors": lambda kbps: allocate_depth(
            codec, whole, bitrate_kbps=kbps, judge=by_vectors, hold=hold
        ),
    }
    for count in counts:
        fixed = whole.select_codebooks(count)
        mel, clear = measure(codec, items, list(fixed))
        rows.append(f"| {fixed.bitrate_kbps:.3f} | fixed | {count} | - | - | {mel:.4f} | {clear:.3f} |")
        for name, way in ways.items():
            few = way(fixed.bitrate_kbps)
            assert few.depth is not None
            mel, clear = measure(codec, items, list(few))
            told = [item.depth[0, ::hold].tolist() for item in few if item.depth is not None]
            seconds = int(few.lengths.sum()) / float(few.spec.frame_rate)
            side = few.depth_bits / seconds / 1000
            coded = entropy_bits(told, few.spec.num_codebooks) / seconds / 1000
            mean = float(few.depth.sum()) / int(few.lengths.sum())
            rows.append(
                f"| {few.bitrate_kbps:.3f} | {name} | {mean:.2f} | {side:.3f} | {coded:.3f} | {mel:.4f} | {clear:.3f} |"
            )
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description="Variable against fixed depth at equal bitrate.")
    parser.add_argument("--voices", type=Path, default=evaluation_sets.DEFAULT_VOICES)
    parser.add_argument("--tokenizer", default="mini-codec")
    parser.add_argument("--hold", type=int, default=2, help="frames that share one depth")
    parser.add_argument("--codebooks", type=int, nargs="+", default=[2, 3, 4, 6])
    parser.add_argument("--no-write", action="store_true", help="leave RESULTS.md as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = [clip for clip in evaluation_sets.load_voices(options.voices) if clip.task == "read"]
    items = with_pauses(clips)
    codec = Tokenizer.from_pretrained(options.tokenizer)
    rows = table(codec, items, hold=options.hold, counts=options.codebooks)
    seconds = sum(len(item) for item in items) / RATE
    body = [
        "## Variable depth",
        "",
        machine_line(threads=1),
        f"`{codec.spec.name}` (weights {codec.fingerprint}) on {len(clips)} sentences of four voices that took no part "
        f"in training, joined to {len(items)} items with pauses: {seconds:.0f} s. A depth holds for {options.hold} "
        "frames. The bitrates count the codes in use and the depth as plain numbers; what an adaptive arithmetic code "
        "would make of the depth is stated beside it and not taken off.",
        "",
        *rows,
    ]
    print("\n".join(body))
    if not options.no_write:
        write_section("variable-depth", "\n".join(body))


if __name__ == "__main__":
    main()
