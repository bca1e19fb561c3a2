"""Are the quantizers fast, and do they use their codebooks? `python benchmarks/quantizers.py [--part NAME ...]`.

Parts, each a section of RESULTS.md:

- `speed`: encoding and a training step (forward, backward) beside vector-quantize-pytorch, for each quantizer that both
  have. CPU seconds on one thread, medians of rounds in which both take turns, on fresh vectors every time.
- `usage`: how much of its codebooks every learned quantizer uses after 2,000 steps on a mixture of 1,024 Gaussians.
  `--only TEXT` measures the rows whose titles contain a text, and keeps those that were measured in the same way.

`speed` needs vector-quantize-pytorch. There is no encoding alone in it: its forward pass in eval mode stands for that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.nn.functional as F
from results import machine_line, read_section, write_section
from torch import Tensor, nn

from tokaudio.quantizers import Quantizer, list_quantizers, make_quantizer
from tokaudio.quantizers.vector import perplexity

SIZE, ITEMS, FRAMES, POOL = 1024, 8, 500, 12
LEVELS = (8, 5, 5, 5)
Theirs = Callable[[int], nn.Module]
Pair = tuple[str, str, Callable[[int], dict[str, Any]], Theirs]


def pairs() -> list[Pair]:
    """Return what both have: a title, our name and options for a width, and theirs for a width."""
    import vector_quantize_pytorch as peer
    from vector_quantize_pytorch.sim_vq import SimVQ

    learned = {"decay": 0.99, "kmeans_init": True, "threshold_ema_dead_code": 0.02, "commitment_weight": 0.25}
    rows = {"codebook_size": SIZE, **learned}
    vq = rows | {"channel_last": False}
    plain = {"rotation_trick": False, "straight_through": True}
    bits = {"entropy_loss_weight": 0.1, "commitment_loss_weight": 0.25, "channel_first": True}
    one: dict[str, Any] = {"codebook_size": SIZE}
    return [
        ("VQ", "vq", lambda d: one, lambda d: peer.VectorQuantize(d, **vq, **plain)),
        ("VQ, rotation", "vq", lambda d: one | {"gradient": "rotation"}, lambda d: peer.VectorQuantize(d, **vq)),
        (
            "VQ, cosine",
            "vq",
            lambda d: one | {"metric": "cosine"},
            lambda d: peer.VectorQuantize(d, **vq, **plain, use_cosine_sim=True),
        ),
        ("SimVQ", "simvq", lambda d: one, lambda d: SimVQ(d, SIZE, channel_first=True, rotation_trick=False)),
        (
            "RVQ of 8",
            "rvq",
            lambda d: one | {"num_codebooks": 8},
            lambda d: _Rows(peer.ResidualVQ(dim=d, num_quantizers=8, **rows, **plain)),
        ),
        ("FSQ", "fsq", lambda d: {"levels": LEVELS}, lambda d: peer.FSQ(list(LEVELS), dim=d, channel_first=True)),
        (
            "residual FSQ of 4",
            "residual-fsq",
            lambda d: {"levels": LEVELS, "num_codebooks": 4},
            lambda d: peer.ResidualFSQ(levels=list(LEVELS), num_quantizers=4, dim=d, is_channel_first=True),
        ),
        ("LFQ, 10 bits", "lfq", lambda d: {"bits": 10}, lambda d: peer.LFQ(dim=d, **one, **bits)),
        ("BSQ, 10 bits", "bsq", lambda d: {"bits": 10}, lambda d: peer.LFQ(dim=d, **one, **bits, spherical=True)),
        (
            "random projection",
            "random-projection",
            lambda d: one | {"codebook_dim": 16},
            lambda d: _Rows(peer.RandomProjectionQuantizer(dim=d, **one, codebook_dim=16)),
        ),
        (
            "grouped RVQ, 2 of 4",
            "product",
            lambda d: {"groups": 2, "inner": "rvq", "inner_options": one | {"num_codebooks": 4}},
            lambda d: _Rows(peer.GroupedResidualVQ(dim=d, groups=2, num_quantizers=4, **rows, **plain)),
        ),
    ]


class _Rows(nn.Module):
    """A quantizer of rows `[B, T, D]`, given `[B, D, T]`."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, latents: Tensor) -> Tensor:
        """Return what the quantizer gives."""
        return self.inner(latents.transpose(1, 2))


def clustered(dim: int, seed: int) -> Tensor:
    """Return vectors `[B, D, T]` around 1,024 centres."""
    centres = torch.randn(SIZE, dim, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(0, SIZE, (ITEMS, FRAMES), generator=generator)
    vectors = centres[pick] + 0.5 * torch.randn(ITEMS, FRAMES, dim, generator=generator)
    return vectors.transpose(1, 2).contiguous()


def train(quantizer: nn.Module, latents: Tensor) -> None:
    """Do one forward and backward pass; theirs return vectors, codes and, most of them, a loss."""
    latents = latents.clone().requires_grad_()
    out = quantizer(latents)
    if isinstance(quantizer, Quantizer):
        loss = out.quantized.square().mean() + out.loss
    else:
        loss = out[0].square().mean() + (out[2].sum() if len(out) > 2 else 0)
    if loss.requires_grad:
        loss.backward()


def forward(quantizer: nn.Module, latents: Tensor) -> None:
    """Do one forward pass."""
    quantizer(latents)


def encode(quantizer: nn.Module, latents: Tensor) -> None:
    """Find the codes of vectors."""
    with torch.no_grad():
        if isinstance(quantizer, Quantizer):
            quantizer.encode(latents)
        else:
            quantizer(latents)


def beside(ours: nn.Module, theirs: nn.Module, pool: list[Tensor], rounds: int) -> Iterator[tuple[float, float]]:
    """Yield CPU seconds of ours and theirs, for encoding and then for a training step."""
    # Where theirs gives codes and nothing to learn by, there is no backward pass to compare.
    step = forward if isinstance(theirs(pool[0]), Tensor) else train
    for quantizer in (ours, theirs):
        quantizer.train()
        for latents in pool[:4]:
            step(quantizer, latents)
    for action, training in ((encode, False), (step, True)):
        seconds: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds + 1):
            for quantizer, found in zip((ours.train(training), theirs.train(training)), seconds, strict=True):
                start = time.process_time()
                action(quantizer, pool[turn % len(pool)])
                found.append(time.process_time() - start)
        # The first round of each is warm-up.
        yield statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


def speed_section(widths: list[int], rounds: int) -> str:
    """Measure every pair at every width, and return the section."""
    body = [
        "## Quantizers: speed beside vector-quantize-pytorch",
        "",
        machine_line(("torch", "vector-quantize-pytorch"), threads=1),
        f"{ITEMS * FRAMES:,} vectors `[{ITEMS}, D, {FRAMES}]` around {SIZE:,} centres, {SIZE:,} codes;",
        f"CPU milliseconds, medians of {rounds} rounds in turns, on a machine that was busy with other work.",
        "Same decay, k-means start and revival on both sides. A training step is a forward and a backward pass;",
        "of random projection, where theirs gives codes alone, a forward pass.",
        "",
        "| | D | encode, ours | theirs | times as fast | training step, ours | theirs | times as fast |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for width in widths:
        pool = [clustered(width, seed) for seed in range(POOL)]
        for title, name, options, theirs in pairs():
            if name not in list_quantizers():
                continue
            torch.manual_seed(0)
            quantizer = make_quantizer(name, {"dim": width, **options(width)})
            figures = list(beside(quantizer, theirs(width), pool, rounds))
            cells = [f"{1000 * a:.1f} | {1000 * b:.1f} | {b / a:.2f}" for a, b in figures]
            body.append(f"| {title} | {width} | {' | '.join(cells)} |")
            print(body[-1], flush=True)
    return "\n".join(body)


BITS = SIZE.bit_length() - 1
ONE: dict[str, Any] = {"codebook_size": SIZE}
LEARNED: dict[str, tuple[str, dict[str, Any]]] = {
    "VQ, moving averages": ("vq", {"codebook_size": SIZE}),
    "VQ, gradient": ("vq", {"codebook_size": SIZE, "learning": "gradient"}),
    "VQ, cosine": ("vq", {"codebook_size": SIZE, "metric": "cosine"}),
    "VQ, factorised (8 of 16), cosine, gradient": (
        "vq",
        {"codebook_size": SIZE, "codebook_dim": 8, "metric": "cosine", "learning": "gradient"},
    ),
    "VQ, moving averages, rotation": ("vq", {"codebook_size": SIZE, "gradient": "rotation"}),
    "SimVQ": ("simvq", {"codebook_size": SIZE}),
    "RVQ of 3": ("rvq", {"codebook_size": SIZE, "num_codebooks": 3}),
    "factorized of 2": ("factorized", {"codebook_size": SIZE, "num_codebooks": 2, "codebook_dim": 8}),
    "LFQ": ("lfq", {"bits": BITS}),
    "BSQ": ("bsq", {"bits": BITS}),
    "residual of 2, SimVQ": ("residual", {"num_codebooks": 2, "inner": "simvq", "inner_options": ONE}),
    "residual of 2, factorized": (
        "residual",
        {"num_codebooks": 2, "inner": "factorized", "inner_options": {**ONE, "num_codebooks": 1}},
    ),
    "residual of 2, LFQ": (
        "residual",
        {"num_codebooks": 2, "inner": "lfq", "inner_options": {"bits": BITS}, "shrink": 0.5},
    ),
    "residual of 2, BSQ": (
        "residual",
        {"num_codebooks": 2, "inner": "bsq", "inner_options": {"bits": BITS}, "shrink": 0.5},
    ),
    "product of 2": ("product", {"groups": 2, "inner_options": ONE}),
    "multi-scale, strides 2 and 1": ("multiscale", {"strides": (2, 1), "inner_options": ONE}),
    "split, 1 and 1": ("split", {**ONE, "num_codebooks": 2}),
    "banded of 2": ("banded", {**ONE, "bands": 2}),
}


def mixture(count: int, centres: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """Return `count` vectors `[1, D, count]` of a mixture of equal Gaussians around centres `[G, D]`."""
    pick = torch.randint(0, len(centres), (count,), generator=generator)
    return (centres[pick] + spread * torch.randn(count, centres.shape[1], generator=generator)).T[None]


def learn(name: str, options: dict[str, Any], *, seed: int, steps: int, spread: float) -> tuple[list[float], ...]:
    """Train on the mixture; return share of codes used and share of V in perplexity, per codebook, on fresh vectors."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    # The centres fill 8 of 16 dimensions, so that a search in 8 of them can be as good as one in all.
    basis = torch.linalg.qr(torch.randn(16, 8, generator=generator))[0]
    centres = torch.randn(SIZE, 8, generator=generator) @ basis.T
    quantizer = make_quantizer(name, {"dim": 16, **options}).train()
    learned = [parameter for parameter in quantizer.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, 3e-3) if learned else None
    for _ in range(steps):
        latents = mixture(1024, centres, spread, generator)
        out = quantizer(latents)
        if optimizer is not None:
            optimizer.zero_grad()
            (out.loss + F.mse_loss(out.quantized, latents)).backward()
            optimizer.step()
    codes = quantizer.encode(mixture(20 * SIZE, centres, spread, generator))
    books = range(quantizer.num_codebooks)
    used = [len(codes[:, k].unique()) / SIZE for k in books]
    return used, [float(perplexity(codes[:, k], SIZE)) / SIZE for k in books]


def usage_section(seeds: int, steps: int, spreads: list[float], only: str) -> str:
    """Train the learned quantizers with every seed, and return the section."""
    head = [
        "## Quantizers: use of the codebooks",
        "",
        machine_line(("torch",), threads=1),
        f"{steps:,} steps of 1,024 vectors each from {SIZE:,} Gaussians of standard deviation {_either(spreads)},",
        f"whose centres are standard normal in 8 of 16 dimensions; {SIZE:,} codes; Adam at 0.003.",
        f"Share of the codes that {20 * SIZE:,} fresh vectors use, and perplexity as a share of {SIZE:,},",
        f"per codebook; the lowest of {seeds} seed{'s' if seeds > 1 else ''}.",
        "",
        "| |" + "".join(f" codes used, {spread} | perplexity, {spread} |" for spread in spreads),
        "|---" + "|---|---" * len(spreads) + "|",
    ]
    before = read_section("quantizers-usage").splitlines()
    kept = {line.split(" | ")[0]: line for line in before[len(head) :]} if before[: len(head)] == head else {}
    rows = []
    for title, (name, options) in LEARNED.items():
        start = f"| {title}"
        if only not in title:
            rows += [kept[start]] if start in kept else []
            continue
        cells = [start]
        for spread in spreads:
            runs = [learn(name, options, seed=seed, steps=steps, spread=spread) for seed in range(seeds)]
            for part in zip(*runs, strict=True):
                lowest = [min(values) for values in zip(*part, strict=True)]
                cells.append(", ".join(f"{100 * value:.1f} %" for value in lowest))
        rows.append(" | ".join(cells) + " |")
        print(rows[-1], flush=True)
    return "\n".join(head + rows)


def _either(spreads: list[float]) -> str:
    return " or ".join(str(spread) for spread in spreads)


def main() -> int:
    """Measure the chosen parts and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure quantizers: speed beside a peer, use of the codebooks.")
    parser.add_argument("--part", nargs="+", choices=["speed", "usage"], default=["speed", "usage"])
    parser.add_argument("--widths", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--spreads", nargs="+", type=float, default=[0.3, 0.1], help="deviations of the Gaussians")
    parser.add_argument("--only", default="", metavar="TEXT", help="of usage, only the rows whose titles contain it")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.part:
        if part == "speed":
            body = speed_section(options.widths, options.rounds)
        else:
            with suppress(ImportError):
                # Searches are compiled where somebody has imported it.
                import numba  # noqa: F401
            body = usage_section(options.seeds, options.steps, options.spreads, options.only)
        print(body, flush=True)
        if not options.dry_run:
            write_section(f"quantizers-{part}", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
