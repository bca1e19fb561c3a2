"""100,000 damaged token files of every format: `python -m tests.nightly.token_files [FORMAT ...]`.

Right is: the reader lives on and says in one line of `TokensError` what is wrong, or gives exactly the tokens that were
written. Half of the files are single token files (.npz), the others shards of datasets, whose files are damaged one at
a time.

It prints one line of JSON per format, and ends with 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzzing.damage import KINDS, damaged
from tests.fuzzing.parsers import single_tokens
from tests.nightly.limited import Limited, serve
from tests.storage.random_rows import example
from tests.storage.test_megatron import laid_out
from tokaudio import Tokenizer
from tokaudio.errors import TokensError
from tokaudio.storage.formats import FORMAT_NAMES, shard_files, shard_format
from tokaudio.storage.npz import read_header, read_npz, write_npz
from tokaudio.testing._case import sound
from tokaudio.tokens import Tokens

COUNTS = {"single": 50_000, **dict.fromkeys(FORMAT_NAMES, 9_000), "megatron": 5_000}
BATCH = 250


def single(folder: Path) -> tuple[list[Path], Callable[[Path], object]]:
    """Write token files, and return them with what reads one."""
    rich, voice = single_tokens(), Tokenizer.from_pretrained("mini-codec").encode(sound(8_000, 16_000), 16_000)
    first = Tokens(rich.codes[:, :1], rich.lengths, rich.num_samples, rich.spec.select([0]), "")
    files = []
    for number, tokens in enumerate((rich, voice, first)):
        files.append(folder / f"{number}.npz")
        write_npz(files[-1], tokens, overwrite=True)

    def read(path: Path) -> object:
        tokens = read_npz(path)
        return Same((tokens, dict(tokens.provenance), read_header(path)))

    return files, read


class Same:
    """Tokens, with all that is told about them."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]


def shard(folder: Path, name: str) -> tuple[list[Path], Callable[[Path], object]]:
    """Write a shard, and return its files with what reads it."""
    info, rows = laid_out("flatten") if name == "megatron" else example()
    form = shard_format(name)
    place = folder / f"shard{form.suffix}"
    form.write_shard(place, rows, info)
    return shard_files(place), lambda _: list(form.read_shard(place))


def work(request: dict[str, Any]) -> dict[str, Any]:
    """Damage files of a format so many times, and read each."""
    chance, name = random.Random(request["seed"]), request["format"]
    told: dict[str, Any] = {"refused": 0, "whole": 0, "other": 0, "wrong": []}
    with tempfile.TemporaryDirectory() as place:
        files, read = single(Path(place)) if name == "single" else shard(Path(place), name)
        contents = {path: path.read_bytes() for path in files}
        wanted = {path: read(path) for path in files}
        for number in range(request["count"]):
            path = chance.choice(files)
            other, kind = contents[chance.choice(files)], KINDS[number % len(KINDS)]
            if not contents[path] or not other:
                continue
            path.write_bytes(damaged(contents[path], other, kind, chance))
            outcome, problem = judge(path, read, wanted[path])
            told[outcome] += 1
            if problem or outcome == "other":
                told["wrong"].append(f"{request['seed']}:{number} {kind} of {path.name}: {problem or 'other tokens'}")
            path.write_bytes(contents[path])
    return told


def judge(path: Path, read: Callable[[Path], object], wanted: object) -> tuple[str, str]:
    """Return how a file was read, and what was wrong with that."""
    try:
        found = read(path)
    except TokensError as error:
        line = str(error)
        return "refused", "" if line.isprintable() and "; " in line else f"says {line!r}"
    except Exception as error:
        return "refused", f"{type(error).__name__}: {error}"
    return ("whole", "") if found == wanted else ("other", "")


def run(name: str, count: int) -> dict[str, object]:
    """Try one format, in a child."""
    child = Limited("tests.nightly.token_files")
    told: dict[str, Any] = {"refused": 0, "whole": 0, "other": 0, "wrong": []}
    for seed in range(0, count, BATCH):
        done = child.ask(format=name, seed=seed, count=min(BATCH, count - seed))
        if done.broke:
            told["wrong"].append(f"{seed}: {done.broke}: {done.stderr[-300:]}")
        for key in told:
            told[key] += done.answer.get(key, [] if key == "wrong" else 0)
    child.close()
    return {"format": name, "files": count, **told, "peak MiB": child.peak_bytes >> 20}


def main() -> int:
    """Try the formats that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("formats", nargs="*", choices=[[], *COUNTS])
    parser.add_argument("--share", type=float, default=1.0, help="of the files")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, work)
        return 0
    right = True
    for name in given.formats or COUNTS:
        told = run(name, round(COUNTS[name] * given.share))
        print(json.dumps(told), flush=True)
        right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
