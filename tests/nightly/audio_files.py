"""Damaged and lying audio files through `tokaudio encode`: `python -m tests.nightly.audio_files [PART ...]`.

- mutants: 10,000 damaged files of seven formats;
- forged: 500 files whose headers lie about channels, rate, bit depth or length.

A child of 4 GiB of address space runs the command line. Right is: it lives on, within 10 seconds of CPU; exit code 0
and nothing on file descriptor 2, or exit code 2 and there one line that names the file; a file that was cut short is
never taken for a whole one. Forged lengths ask for no memory, and a rate that contradicts its file is refused or is
that of the samples. It prints one line of JSON per part, and ends with 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.audio.seeds import make_signal, write_seeds
from tests.fuzzing.damage import KINDS, damaged
from tests.nightly.limited import Done, Limited, serve

NAMES = ("pcm.wav", "float.wav", "pcm.flac", "vorbis.ogg", "layer3.mp3", "pcm.aiff", "pcm.w64")
MUTANTS, FORGED = 10_000, 500
RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)
MOST_SECONDS, MOST_BYTES = 10.0, 2**30
SAMPLES = 20_001  # 30,001 at 24 kHz, at the tokenizer's 16 kHz


def mutants(folder: Path, child: Limited, count: int) -> dict[str, object]:
    """Damage files in every way, and encode them."""
    files = {name: (write_seeds(folder, make_signal()) / name).read_bytes() for name in NAMES}
    chance, told, wrong = random.Random(1), Counter[str](), list[str]()
    for number in range(count):
        name, kind = NAMES[number % len(NAMES)], KINDS[number // len(NAMES) % len(KINDS)]
        content = damaged(files[name], files[chance.choice(NAMES)], kind, chance)
        path = folder / f"mutant{Path(name).suffix}"
        done = encode(child, path, content)
        problem = judge(done, path)
        if not problem and done.answer["code"] == 0 and kind == "cut" and done.answer["samples"] < SAMPLES:
            problem = f"{done.answer['samples']} samples of a file that was cut short"
        told["encoded" if done.answer.get("code") == 0 else "refused"] += 1
        if problem:
            wrong.append(keep(folder, path, content, f"{number} {kind}: {problem}"))
    return {"mutants": count, **told, **limits(child), "wrong": wrong}


def forged(folder: Path, child: Limited, count: int) -> dict[str, object]:
    """Write headers that lie, and encode the files."""
    chance, told, wrong = random.Random(2), Counter[str](), list[str]()
    write_seeds(folder, make_signal())
    made = lies({name: (folder / name).read_bytes() for name in ("pcm.wav", "pcm.aiff", "pcm.w64", "pcm.flac")}, chance)
    for number in range(count):
        name, what, content = next(made)
        path = folder / f"forged{Path(name).suffix}"
        done = encode(child, path, content)
        problem = judge(done, path)
        told["encoded" if done.answer.get("code") == 0 else "refused"] += 1
        if not problem and done.answer["code"] == 0:
            problem = believed(what, done.answer["samples"])
        if problem:
            wrong.append(keep(folder, path, content, f"{number} {what}: {problem}"))
    return {"forged": count, **told, **limits(child), "wrong": wrong}


def lies(files: dict[str, bytes], chance: random.Random) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, what it lies about and content of one file after the other."""
    places = {
        "pcm.wav": {"channels": (22, "<H"), "rate": (24, "<I"), "bits": (34, "<H"), "length": (40, "<I")},
        "pcm.aiff": {"channels": (20, ">H"), "length": (22, ">I"), "bits": (26, ">H"), "rate": (30, ">H")},
        "pcm.w64": {"channels": (66, "<H"), "rate": (68, "<I"), "bits": (78, "<H"), "length": (120, "<Q")},
        "pcm.flac": {"rate": (18, ">H"), "length": (22, ">I"), "channels": (20, ">B"), "bits": (20, ">H")},
    }
    while True:
        name = chance.choice(list(files))
        what = chance.choice(list(places[name]))
        at, form = places[name][what]
        top = 2 ** (8 * struct.calcsize(form)) - 1
        likely = RATES if what == "rate" else (1, 2, 3, 4, 7, 8, 12, 24, 32, 65)
        value = min(top, chance.choice((*likely, 0, 999, 768_001, top // 2, top // 2 + 1, top, chance.randint(0, top))))
        # The upper 16 of the 20 bits of FLAC's rate.
        value = value >> 4 if (name, what) == ("pcm.flac", "rate") else value
        content = bytearray(files[name])
        struct.pack_into(form, content, at, value)
        # So many bits in as many bytes are the same sound.
        if bytes(content) != files[name] and (what, -(-value // 8)) != ("bits", 2):
            yield name, f"{what} of {name} is {value}", bytes(content)


def believed(what: str, samples: int) -> str:
    """Return what is wrong with a lie that was believed.

    What a file says once cannot be doubted: that it is shorter, or AIFF's rate, channels and bits.
    """
    shorter = what.startswith("length") and samples <= SAMPLES
    return "" if shorter or "pcm.aiff" in what else f"{samples} samples"


def encode(child: Limited, path: Path, content: bytes) -> Done:
    """Write a file and run `tokaudio encode` on it."""
    path.write_bytes(content)
    return child.ask(path=str(path))


def judge(done: Done, path: Path) -> str:
    """Return what is wrong with how a file was dealt with."""
    if done.broke:
        return done.broke
    if done.answer["cpu"] > MOST_SECONDS:
        return f"took {done.answer['cpu']:.1f} s of CPU"
    lines = done.stderr.splitlines()
    if done.answer["code"] == 0:
        return f"exit code 0, and {lines[0]!r}" if lines else ""
    # A byte may turn a file into one of a codec that FFmpeg alone knows, which is not there.
    if done.answer["code"] != (3 if "needs torchcodec" in done.stderr else 2):
        return f"exit code {done.answer['code']}: {done.stderr[:200]!r}"
    one = len(lines) == 1 and lines[0].startswith(f"tokaudio: {path}: ")
    return "" if one else f"exit code 2, and {lines[:3]!r}"


def limits(child: Limited) -> dict[str, object]:
    """Return what a child used, and how often it had to be started."""
    return {"peak MiB": child.peak_bytes >> 20, "children": child.started}


def keep(folder: Path, path: Path, content: bytes, problem: str) -> str:
    """Put a file aside that was dealt with wrongly, and say so."""
    print(json.dumps({"problem": problem, "hex of the first bytes": content[:64].hex()}), file=sys.stderr, flush=True)
    (folder.parent / "wrong").mkdir(exist_ok=True)
    kept = folder.parent / "wrong" / f"{time.time_ns()}{path.suffix}"
    kept.write_bytes(content)
    return f"{problem} ({kept.name})"


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Encode one file, as the command line does; the tokenizer stays loaded."""
    from tokaudio.cli import loading, run
    from tokaudio.storage.npz import read_header

    if not hasattr(loading.open_tokenizer, "cache_info"):
        loading.open_tokenizer = functools.cache(loading.open_tokenizer)
    out, began = Path(request["path"]).with_suffix(".npz"), time.process_time()
    out.unlink(missing_ok=True)
    code = run(["encode", request["path"], str(out), "-q"])
    samples = read_header(out)["num_samples"] if code == 0 else 0
    return {"code": code, "samples": samples, "cpu": time.process_time() - began}


Part = Callable[[Path, Limited, int], dict[str, object]]
PARTS: dict[str, tuple[Part, int]] = {"mutants": (mutants, MUTANTS), "forged": (forged, FORGED)}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--share", type=float, default=1.0, help="of the files")
    parser.add_argument("--keep", type=Path, help="folder for files that were dealt with wrongly")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, work)
        return 0
    right = True
    with tempfile.TemporaryDirectory() as place:
        for name in given.parts or PARTS:
            part, count = PARTS[name]
            folder = (given.keep or Path(place)) / name
            folder.mkdir(parents=True, exist_ok=True)
            child = Limited("tests.nightly.audio_files")
            told = part(folder, child, round(count * given.share))
            child.close()
            print(json.dumps({"part": name, **told}), flush=True)
            right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
