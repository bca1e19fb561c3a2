"""Is k-means here as good as scikit-learn's, and faster? `python benchmarks/kmeans.py [--part NAME ...]`.

Parts, each a section of RESULTS.md:

- `synthetic`: 100,000 rows of 1,024 numbers around 3,000 centres, with a spectrum that falls as 1/d; k = 1,000.
- `mel`: rows of real speech: 64 log-mel bands of 16 neighbouring frames. Needs `--data`, recordings or a manifest.
- `layers`: what 6 layers cost beside 2, and beside the backbone that both need.

Seconds of CPU (user and system) on one thread, medians of rounds in which all take turns; inertia is computed in
one way for all. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from results import machine_line, write_section
from torch import Tensor

ROWS, WIDTH, SIZE = 100_000, 1024, 1000
BANDS, NEIGHBOURS, RATE = 64, 16, 16_000


def synthetic(rows: int) -> Tensor:
    """Return clustered rows `[n, 1024]` whose variance falls as 1/d."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3 * SIZE, WIDTH, generator=generator)
    chosen = centres[torch.randint(0, len(centres), (rows,), generator=generator)]
    noise = 0.7 * torch.randn(rows, WIDTH, generator=generator)
    return (chosen + noise) * torch.arange(1, WIDTH + 1).float().rsqrt()


def mel(rows: int, data: list[str]) -> Tensor:
    """Return rows `[n, 1024]` of real speech: log-mel frames with their neighbours, in drawn order of recordings."""
    import librosa

    from tokaudio.audio import read_audio, resample
    from tokaudio.cli.sounds import find_sounds
    from tokaudio.training.extraction import Sound, in_drawn_order

    filters = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=512, n_mels=BANDS))
    window, parts, count = torch.hann_window(512), list[Tensor](), 0
    for sound in in_drawn_order([Sound(str(one.path), one.name) for one in find_sounds(data).recordings], 0):
        samples, rate = read_audio(sound.path)
        spectrum = torch.stft(resample(samples.mean(0), rate, RATE), 512, 160, window=window, return_complex=True)
        frames = (filters @ spectrum.abs().square() + 1e-6).log().T
        if len(frames) >= NEIGHBOURS:
            parts.append(frames.unfold(0, NEIGHBOURS, 2).flatten(1))
            count += len(parts[-1])
        if count >= rows:
            break
    return torch.cat(parts)[:rows].contiguous()


def cpu(action: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what an action gives, its CPU seconds and its seconds by the clock."""
    clock, start = time.perf_counter(), time.process_time()
    result = action()
    return result, time.process_time() - start, time.perf_counter() - clock


def inertia(rows: Tensor, centroids: Tensor) -> float:
    """Return the mean squared distance of rows to their nearest centroids."""
    from tokaudio.quantizers.search import nearest

    parts = ((part - centroids[nearest(part, centroids)]).square().sum().double() for part in rows.split(8192))
    return float(sum(parts)) / len(rows)


def fits(rows: Tensor, size: int, *, large_batches: bool = False) -> dict[str, Callable[[], Tensor]]:
    """Return what is compared: names, and functions that give centroids."""
    from sklearn.cluster import MiniBatchKMeans

    from tokaudio.training.frames import FramesInMemory
    from tokaudio.training.kmeans import fit_kmeans

    def theirs(**options: Any) -> Tensor:
        model = MiniBatchKMeans(size, init="k-means++", random_state=0, **options).fit(rows.numpy())
        return torch.from_numpy(model.cluster_centers_).float()

    frames = FramesInMemory(rows)
    found: dict[str, Callable[[], Tensor]] = {
        "scikit-learn, defaults (batches of 1,024)": theirs,
        "ours, quick (restarts=1, steps=0)": lambda: fit_kmeans(frames, size, restarts=1, steps=0, threads=1).centroids,
        "ours, defaults": lambda: fit_kmeans(frames, size, threads=1).centroids,
    }
    if large_batches:
        found["scikit-learn, batches of 10,000"] = lambda: theirs(batch_size=10_000, n_init=1)
    return found


def fit_section(title: str, rows: Tensor, size: int, *, rounds: int = 1, large_batches: bool = False) -> str:
    """Measure all fits of some rows and return their section."""
    body = [
        f"## K-means: {title}",
        "",
        machine_line(("torch", "scikit-learn"), threads=1),
        f"{len(rows):,} x {rows.shape[1]:,}, k = {size:,}; medians of {rounds} rounds in turn (from the third on: "
        "once), on a machine that was busy with other work.",
        "",
        "| | CPU | wall | inertia | beside scikit-learn's defaults |",
        "|---|---|---|---|---|",
    ]
    compared = fits(rows, size, large_batches=large_batches)
    often = list(compared)[:2]
    runs: dict[str, list[tuple[Tensor, float, float]]] = {name: [] for name in compared}
    for _ in range(rounds):
        for name in often:
            runs[name].append(cpu(compared[name]))
            print(f"{name}: {runs[name][-1][1]:.2f} s", flush=True)
    for name in list(compared)[2:]:
        runs[name].append(cpu(compared[name]))
    base = None
    for name, taken in runs.items():
        seconds, wall = (statistics.median(run[place] for run in taken) for place in (1, 2))
        found = inertia(rows, taken[0][0])
        base = base or (seconds, found)
        beside = f"{base[0] / seconds:.2f} times as fast, inertia {100 * (found / base[1] - 1):+.2f} %"
        body.append(f"| {name} | {seconds:.1f} s | {wall:.0f} s | {found:.5g} | {beside} |")
    return "\n".join(body)


def layers_section(seconds: float, rounds: int) -> str:
    """Measure encoding with codebooks on 2 and on 6 layers of one model, and return the section."""
    from tokaudio.nn.ssl import SpeechSizes
    from tokaudio.tokenizers.semantic import SemanticTokenizer

    sizes = SpeechSizes(width=1024, layers=24, heads=16, inner=4096, conv_norm="layer", norm_first=True)
    six = SemanticTokenizer.untrained("six", sizes, (1, 3, 7, 12, 18, 23), codebook_size=SIZE).eval()
    six.requires_grad_(False)
    two = six.keep_layers((1, 23))
    sound = 0.1 * torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(1))
    states = six.features(sound)
    both = states[:, [*range(WIDTH), *range(5 * WIDTH, 6 * WIDTH)]]
    actions: dict[str, Callable[[], Any]] = {
        "encode, 2 layers": lambda: two.encode(sound),
        "encode, 6 layers": lambda: six.encode(sound),
        "backbone to layer 23": lambda: six.backbone.hidden_states(sound, (23,)),
        "assignment, 2 layers": lambda: two.quantizer.encode(both),
        "assignment, 6 layers": lambda: six.quantizer.encode(states),
    }
    for action in actions.values():
        action()
    found = {name: statistics.median(cpu(action)[1] for _ in range(rounds)) for name, action in actions.items()}
    ratio = found["encode, 6 layers"] / found["encode, 2 layers"]
    alone = found["assignment, 6 layers"] / found["assignment, 2 layers"]
    share = found["assignment, 6 layers"] / found["encode, 6 layers"]
    return "\n".join(
        [
            "## K-means: 6 layers beside 2",
            "",
            machine_line(("torch",), threads=1),
            f"Random weights of the large size, k = {SIZE:,}, {seconds:g} s of sound; medians of {rounds} rounds.",
            "",
            "| | CPU |",
            "|---|---|",
            *(f"| {name} | {1000 * value:.1f} ms |" for name, value in found.items()),
            "",
            f"Encoding with 6 layers takes {ratio:.3f} times what it takes with 2. Assignment alone takes {alone:.2f} "
            f"times as long for three times the products, and is {100 * share:.1f} % of encoding.",
        ]
    )


def main() -> int:
    """Measure the chosen parts and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure k-means beside scikit-learn.")
    parser.add_argument("--part", nargs="+", choices=["synthetic", "mel", "layers"], default=["synthetic", "layers"])
    parser.add_argument("--data", nargs="+", default=[], help="recordings for the part `mel`")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--seconds", type=float, default=4.0, help="of sound, for the part `layers`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large-batches", action="store_true", help="also scikit-learn with batches of 10,000 (slow)")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    how: dict[str, Any] = {"rounds": options.rounds, "large_batches": options.large_batches}
    for part in options.part:
        if part == "layers":
            with torch.no_grad():
                body = layers_section(options.seconds, options.rounds)
        elif part == "mel":
            body = fit_section("real speech", mel(options.rows, options.data), options.size, **how)
        else:
            body = fit_section("synthetic", synthetic(options.rows), options.size, **how)
        print(body, flush=True)
        if not options.dry_run:
            write_section(f"kmeans-{part}", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
