"""Coverage-guided fuzzing of every parser of ours: `python -m tests.nightly.fuzz [--seconds 3600] [--parser NAME]`.

Needs atheris (`pip install atheris`), which no extra of tokaudio asks for. The time is shared by all parsers, each in a
process of its own, under 2 GiB and 20 seconds for one content. A content that raises what it should not is kept in a
folder, and becomes a test of its parser. It prints one line of JSON per parser, and ends with 1 where there was any.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.nightly.limited import ROOT

MOST_MIB, MOST_SECONDS = 2_048, 20


def fuzz(name: str, corpus: str, arguments: list[str]) -> None:
    """Fuzz one parser in this process, which ends with it."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["tokaudio"]):
        from tests.fuzzing.parsers import PARSERS
    parser = PARSERS[name]
    for number, seed in enumerate(parser.seeds()):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm"))
    path = place / f"parsed{parser.suffix}"
    atheris.Setup([sys.argv[0], *arguments, corpus], lambda content: parser.judge(path, content))
    atheris.Fuzz()


def run(name: str, seconds: int, folder: Path) -> dict[str, object]:
    """Fuzz one parser in a process of its own."""
    place = folder / re.sub(r"\W+", "-", name)
    corpus, found = place / "corpus", place / "found"
    for made in (corpus, found):
        made.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={MOST_MIB}", f"-timeout={MOST_SECONDS}", "-max_len=65536"]
    limits += [f"-artifact_prefix={found}/", "-print_final_stats=1", "-use_value_profile=1"]
    command = [sys.executable, "-m", "tests.nightly.fuzz", "--within", name, str(corpus), *limits]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (place / "log.txt").write_text(done.stderr + done.stdout)
    tried = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    wrong = sorted(path.name for path in found.iterdir())
    if done.returncode and not wrong:
        wrong = [(done.stderr.strip().splitlines() or ["no word"])[-1]]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    contents = int(tried[1]) if tried else 0
    return {
        "parser": name,
        "contents": contents,
        "kept": len(list(corpus.iterdir())),
        "cpu": round(cpu),
        "wrong": wrong,
    }


def main() -> int:
    """Fuzz all parsers, one after the other."""
    if sys.argv[1:2] == ["--within"]:
        fuzz(sys.argv[2], sys.argv[3], sys.argv[4:])
    from tests.fuzzing.parsers import PARSERS

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3600, help="of all parsers together")
    parser.add_argument("--parser", action="append", choices=list(PARSERS))
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="for what is found, and for corpora")
    given = parser.parse_args()
    names, right = given.parser or list(PARSERS), True
    for name in names:
        told = run(name, max(1, given.seconds // len(names)), given.folder.resolve())
        print(json.dumps(told), flush=True)
        right = right and not told["wrong"]
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
