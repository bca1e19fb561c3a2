"""The long version of what `tests/corpus` shows in short: `python -m tests.nightly.corpus [PART ...]`.

- kills: a job of 200 files in 20 shards, killed at each named step and at 300 random moments;
- together: two and eight forked processes on one output, of which one is killed, ten rounds;
- flips: 1,000 single bits anywhere in a finished corpus, each found, and mended by encoding only what it hit.

It prints one line of JSON per part, and ends with 1 where anything is not as it should be. An hour of CPU at most.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.corpus.killing import Victims, occurrences
from tests.corpus.support import encode_here, tree, write_sounds, write_tokenizer
from tests.corpus.test_verify import bits, flip
from tests.corpus.toy import loudness
from tokaudio.corpus.repair import repair_corpus
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.corpus.verify import verify_corpus
from tokaudio.storage.formats import shard_format

KILLS, ROUNDS, FLIPS = 300, 10, 1_000
FILES, ITEMS = 200, 10


def kills(folder: Path, sounds: Path, tokenize: TokenizeBatch, share: float) -> dict[str, object]:
    """Kill at each named step, and at random moments."""
    victims = Victims(folder, sounds, loudness(), ITEMS, shard_format("parquet"))
    steps = [(name, count) for name, total in victims.names.items() for count in occurrences(total)]
    wrong = [f"{name} {count}" for name, count in steps if not victims.killed_at(name, count)]
    moments, in_time = random.Random(1), 0
    for _ in range(round(KILLS * share)):
        seconds = moments.uniform(0, 1.05 * victims.seconds)
        killed, right = victims.killed_after(seconds)
        in_time += killed
        if not right:
            wrong.append(f"after {seconds:.3f} s")
    return {"steps": len(steps), "random": round(KILLS * share), "in time": in_time, "wrong": wrong}


def together(folder: Path, sounds: Path, tokenize: TokenizeBatch, share: float) -> dict[str, object]:
    """Let two and eight processes work on one output."""
    victims = Victims(folder, sounds, loudness(), ITEMS, shard_format("parquet"))
    counts = [2, 8] * round(ROUNDS * share)
    return {"rounds": len(counts), "wrong": [str(count) for count in counts if not victims.together(count)]}


def flips(folder: Path, sounds: Path, tokenize: TokenizeBatch, share: float) -> dict[str, object]:
    """Flip bits of a finished corpus, one at a time, and mend it."""
    out = folder / "out"
    encode_here(sounds, out, tokenize, items=ITEMS)
    wanted, at, files = tree(out), random.Random(2), bits(out)
    unseen = unmended = shards = 0
    for path, size in at.choices(files, [size for _, size in files], k=round(FLIPS * share)):
        flip(path, at.randrange(size))
        findings = verify_corpus(out)
        unseen += path.relative_to(out).as_posix() not in {finding.name for finding in findings}
        shards += len(repair_corpus(out, findings).shards) if findings else 0
        if tree(out) != wanted:
            unmended += 1
            shutil.rmtree(out)
            encode_here(sounds, out, tokenize, items=ITEMS)
    wrong = [f"{unseen} not found"] * bool(unseen) + [f"{unmended} not mended"] * bool(unmended)
    return {"flips": round(FLIPS * share), "shards encoded again": shards, "wrong": wrong}


Part = Callable[[Path, Path, TokenizeBatch, float], dict[str, object]]
PARTS: dict[str, Part] = {part.__name__: part for part in (kills, together, flips)}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--share", type=float, default=1.0, help="of the random kills and flips")
    given = parser.parse_args()
    names = given.parts or list(PARTS)
    right = True
    with tempfile.TemporaryDirectory() as place:
        sounds, tokenize = write_sounds(Path(place, "in"), FILES), write_tokenizer(Path(place, "tiny"))
        for name in names:
            folder = Path(place, name)
            folder.mkdir()
            told = PARTS[name](folder, sounds, tokenize, given.share)
            print(json.dumps({"part": name, **told}), flush=True)
            right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
