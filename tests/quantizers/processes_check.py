"""Trains quantizers in several processes and in one: `python -m tests.quantizers.processes_check --processes 4`.

Every process gets another number of items of each batch, sometimes none. After every step all codebooks must be the
same in all processes, to the last bit, and within 1e-5 those of one process that sees the joined batch. The first
batch sets the codebooks by k-means, and codes die and are revived on the way; implicit codebooks learn projections by a
loss of entropies over the joined batch. Prints what was compared, exit code 1 if anything differs or nothing was
revived.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from tokaudio.quantizers import (
    BinarySphericalQuantizer,
    LookupFreeQuantizer,
    Quantizer,
    ResidualQuantizer,
    ResidualVectorQuantizer,
    SimVectorQuantizer,
    SplitResidualVectorQuantizer,
    VectorQuantizer,
)

DIM, SIZE, ITEMS, FRAMES = 6, 32, 9, 20
WITHIN = 1e-5
REVIVED = ("vq", "cosine", "gradient", "rvq", "split")
VARIANTS = (*REVIVED, "simvq", "lfq", "bsq", "residual-lfq")


def make(name: str) -> Quantizer:
    """Return an untrained quantizer, the same one everywhere."""
    torch.manual_seed(0)
    options = {"decay": 0.9, "revive_below": 0.5}
    if name == "rvq":
        return ResidualVectorQuantizer(DIM, SIZE, num_codebooks=3, codebook_dim=4, **options).train()
    if name == "split":
        return SplitResidualVectorQuantizer(DIM, SIZE, num_codebooks=2, **options).train()
    if name == "simvq":
        return SimVectorQuantizer(DIM, SIZE).train()
    if name == "lfq":
        return LookupFreeQuantizer(DIM, 5, entropy_weight=0.5, entropy_group=3).train()
    if name == "bsq":
        return BinarySphericalQuantizer(DIM, 5, entropy_weight=0.5).train()
    if name == "residual-lfq":
        return ResidualQuantizer(DIM, num_codebooks=2, inner="lfq", inner_options={"bits": 4}, shrink=0.5).train()
    special = {"vq": {}, "cosine": {"metric": "cosine"}, "gradient": {"learning": "gradient"}}[name]
    return VectorQuantizer(DIM, SIZE, **special, **options).train()


def batch(step: int) -> Tensor:
    """Return the joined batch of a step `[B, D, T]`; its vectors wander, so that codes die."""
    generator = torch.Generator().manual_seed(step)
    centre = 2 * torch.tensor([1.0, -1.0, 0.5, 0.0, 2.0, -2.0])[:, None] * torch.tensor(step / 20.0).sin()
    return torch.randn(ITEMS, DIM, FRAMES, generator=generator) + centre


def parts(step: int, processes: int) -> list[int]:
    """Return how many items of the batch each process gets: unequal numbers, now and then none."""
    generator = torch.Generator().manual_seed(step)
    cuts = torch.randint(0, ITEMS + 1, (processes - 1,), generator=generator).sort().values.tolist()
    return [after - before for before, after in zip([0, *cuts], [*cuts, ITEMS], strict=True)]


def depths(name: str, step: int) -> Tensor | None:
    """Return how many codebooks the items of a step use `[B]`; None for all."""
    generator = torch.Generator().manual_seed(step)
    return torch.randint(1, 3, (ITEMS,), generator=generator) if name == "residual-lfq" else None


def train(name: str, steps: int, rank: int, processes: int) -> tuple[Tensor, int]:
    """Return codebooks and parameters after every step `[steps, N]`, and how many codes were revived."""
    quantizer, revived, tables = make(name), 0, []
    learned = list(quantizer.parameters())
    optimizer = torch.optim.SGD(learned, 0.1) if learned else None
    for step in range(steps):
        mine, depth = parts(step, processes) if processes > 1 else [ITEMS], depths(name, step)
        own = batch(step).split(mine)[rank]
        out = quantizer(own, num_codebooks=None if depth is None else depth.split(mine)[rank])
        revived += sum(int(value) for key, value in out.stats.items() if key.startswith("revived"))
        if optimizer is not None:
            optimizer.zero_grad()
            # A mean over the items here counts as much as there are items here.
            loss = out.loss + (out.quantized - own).square().sum() / max(1, own.numel())
            (loss * (len(own) / ITEMS)).backward()
            if processes > 1:
                for parameter in learned:
                    dist.all_reduce(parameter.grad)
            optimizer.step()
        with torch.no_grad():
            tables.append(torch.cat([quantizer.codebook(k).flatten() for k in range(quantizer.num_codebooks)]))
            tables[-1] = torch.cat([tables[-1], *(parameter.flatten() for parameter in learned)])
    return torch.stack(tables), revived


def work(folder: Path, steps: int, rank: int, processes: int) -> None:
    """Be one of the processes, and leave the codebooks in the folder."""
    dist.init_process_group(
        "gloo", f"file://{folder}/store", rank=rank, world_size=processes, timeout=timedelta(seconds=60)
    )
    torch.save({name: train(name, steps, rank, processes) for name in VARIANTS}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def check(steps: int, processes: int) -> list[str]:
    """Return one line per quantizer; those of failures begin with FAILED."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", __spec__.name, "--steps", str(steps), "--processes", str(processes)]
        workers = [
            subprocess.Popen([*command, "--rank", str(rank), "--folder", name], cwd=Path(__file__).parents[2])
            for rank in range(processes)
        ]
        try:
            codes = [worker.wait(120 + 6 * steps) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        if any(codes):
            return [f"FAILED: processes ended with {codes}"]
        found = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]
    lines = []
    for variant in VARIANTS:
        wanted, revived = train(variant, steps, 0, 1)
        tables = [one[variant][0] for one in found]
        same = all(torch.equal(table, tables[0]) for table in tables)
        gap = float((tables[0] - wanted).abs().max())
        right = same and gap <= WITHIN and len({one[variant][1] for one in found} | {revived}) == 1
        right = right and (revived > 0) == (variant in REVIVED)
        lines.append(
            f"{'ok' if right else 'FAILED'}: {variant}, {processes} processes, {steps} steps, {revived} codes revived: "
            f"codebooks {'identical' if same else 'DIFFERENT'} in all processes, {gap:.2g} off one process"
        )
    return lines


def main() -> int:
    """Check, or be one of the processes of a check; return the exit code."""
    parser = argparse.ArgumentParser(description="Compare training in several processes with training in one.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rank", type=int)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.rank is not None:
        work(options.folder, options.steps, options.rank, options.processes)
        return 0
    started = time.monotonic()
    lines = check(options.steps, options.processes)
    print(*lines, f"{time.monotonic() - started:.0f} s", sep="\n")
    return int(any(line.startswith("FAILED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
