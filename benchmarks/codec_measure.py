"""One measurement of a published codec beside its reference, in a process of its own; started by `codecs.py`.

`time NAME SECONDS ...` prints CPU seconds and equality as JSON, for the number of threads that OMP_NUM_THREADS says;
`peak NAME SIDE SECONDS FOLDER` prints peak memory. Weights are random, at the published model's full widths.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from tests.parity.builders import build
from tests.parity.compare import CodeComparison, compare_codes
from tests.parity.peer import Peer, PeerCodes
from tests.parity.signals import recording, signals
from tokaudio import Tokenizer, Tokens

# Short clips are repeated until a timing is at least this long; cells are repeated until they took this long.
LEAST_SECONDS = 0.2
CELL_SECONDS = float(os.environ.get("CODEC_CELL_SECONDS", "40"))
MOST_ROUNDS = 7


def cpu_seconds(action: Callable[[], object], repeats: int = 1) -> float:
    """Return the CPU seconds (all threads, user and system) of one of `repeats` runs of an action."""
    started = time.process_time()
    for _ in range(repeats):
        action()
    return (time.process_time() - started) / repeats


def paired(theirs: Callable[[], object], ours: Callable[[], object]) -> list[tuple[float, float]]:
    """Return CPU seconds `(theirs, ours)` of several rounds, in turns, who comes first changing with every round.

    Both run once before; where that alone took a cell's time, it is the only round. Rounds end after 7, or when the
    cell has used its time, but never before the first.
    """
    first = (cpu_seconds(theirs), cpu_seconds(ours))
    if sum(first) > CELL_SECONDS:
        return [first]
    repeats = max(1, int(LEAST_SECONDS / max(min(first), 1e-4)))
    rounds: list[tuple[float, float]] = []
    started = time.process_time()
    while len(rounds) < MOST_ROUNDS and (not rounds or time.process_time() - started < CELL_SECONDS):
        if len(rounds) % 2:
            mine = cpu_seconds(ours, repeats)
            rounds.append((cpu_seconds(theirs, repeats), mine))
        else:
            rounds.append((cpu_seconds(theirs, repeats), cpu_seconds(ours, repeats)))
    return rounds


def benchmark_audio(peer: Peer, seconds: float) -> torch.Tensor:
    """Return the recording, and made-up sound so that longer clips hold more than repetitions: `[1, C, S]`."""
    facts = peer.facts
    made_up = signals(facts.sample_rate, 50, seconds=min(seconds / 2, 30.0), channels=facts.channels)
    total = round(seconds * facts.sample_rate)
    rest = (total - made_up.shape[1]) / facts.sample_rate
    voice = recording(facts.sample_rate, seconds=rest + 1, channels=facts.channels)
    return torch.cat([made_up, voice], dim=1)[None, :, :total]


def equality(peer: Peer, audio: torch.Tensor, ours: Tokens, theirs: PeerCodes) -> CodeComparison:
    """Compare the codes of one item, margin-exact."""
    mine, reference = ours.codes[0], theirs.codes[0]
    gap = None if torch.equal(mine, reference) else peer.gap(audio[0], reference)
    return compare_codes(mine, reference, gap, strides=peer.facts.strides or None, chains=peer.facts.chains or None)


def warm_up(peer: Peer, tokenizer: Tokenizer) -> None:
    """Let both sides encode and decode a second, so that what is done once for all is not counted anywhere."""
    audio = benchmark_audio(peer, 1.0)
    theirs, ours = peer.encode(audio), tokenizer.encode(audio, peer.facts.sample_rate)
    if peer.facts.decodes:
        peer.decode(theirs)
        tokenizer.decode(ours)


def measure_times(name: str, lengths: list[float]) -> dict[str, Any]:
    """Return times of both sides at each length, and the equality of their codes."""
    peer = build(name, full_size=True)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = Tokenizer.from_pretrained(peer.save(Path(folder)))
    rate = peer.facts.sample_rate
    found: dict[str, Any] = {"oracle": f"{peer.facts.oracle} {peer.facts.oracle_version}", "lengths": {}}
    warm_up(peer, tokenizer)
    for seconds in lengths:
        audio = benchmark_audio(peer, seconds)
        theirs, ours = peer.encode(audio), tokenizer.encode(audio, rate)
        same = equality(peer, audio, ours, theirs)
        cell: dict[str, Any] = {
            "equality": {
                "total": same.total,
                "equal": same.equal,
                "ties": same.tie_flips,
                "others": same.non_tie_flips,
            },
            "encode": paired(lambda audio=audio: peer.encode(audio), lambda audio=audio: tokenizer.encode(audio, rate)),
        }
        if peer.facts.decodes:
            cell["decode"] = paired(lambda theirs=theirs: peer.decode(theirs), lambda ours=ours: tokenizer.decode(ours))
        found["lengths"][f"{seconds:g}"] = cell
    return found


def measure_peak(name: str, side: str, seconds: float, folder: Path) -> dict[str, float]:
    """Return the peak resident memory in MB of encoding, and then of decoding, model and interpreter included.

    The reference is built first, so its peak is counted anew from when it is ready.
    """
    # Ours is not built with the reference at hand: its process holds nothing of the reference.
    peer = build(name, full_size=True) if side == "theirs" else None
    if peer is not None:
        audio = benchmark_audio(peer, seconds)
        encode: Callable[[torch.Tensor], Any] = peer.encode
        decode: Callable[[Any], Any] = peer.decode
        decodes = peer.facts.decodes
    else:
        tokenizer = Tokenizer.from_pretrained(folder)
        rate = tokenizer.spec.sample_rate
        audio = recording(rate, seconds=seconds, channels=tokenizer.spec.channels)[None]
        encode, decode = (lambda sound: tokenizer.encode(sound, rate)), tokenizer.decode
        decodes = tokenizer.spec.kind != "semantic"
    reset_peak()
    codes = encode(audio)
    found = {"encode": peak_mb()}
    del audio
    if decodes:
        reset_peak()
        decode(codes)
        found["decode"] = peak_mb()
    return found


def reset_peak() -> None:
    """Give freed memory back and count this process's peak from now on (Linux)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float:
    """Return the peak resident memory in MB since the last `reset_peak`."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status: has no VmHWM; peaks are measured on Linux")


def save_files(name: str, folder: Path) -> None:
    """Write the published files of a full-size reference."""
    build(name, full_size=True).save(folder)


def main() -> None:
    """Run what the command line says and print JSON on the last line."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    what, name, *rest = sys.argv[1:]
    if what == "time":
        result: Any = measure_times(name, [float(text) for text in rest])
    elif what == "peak":
        result = measure_peak(name, rest[0], float(rest[1]), Path(rest[2]))
    else:
        result = save_files(name, Path(rest[0]))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
