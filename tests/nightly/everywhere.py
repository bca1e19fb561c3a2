"""The shipped tokenizers everywhere, in full: `python -m tests.nightly.everywhere [PART ...]`.

The tests are those of the suite, with more cases:

- runs: 100 runs of all golden clips, and ten processes with 1 to 8 threads and random hash seeds;
- company: 500 batches of 2 to 32 clips, and as many paddings, of each tokenizer;
- cuts: half an hour in chunks of 1, 5 and 30 s, and fifty random cuts of a minute and a half;
- laws: every law of `check_tokenizer` with all its cases: every length to 5,000 samples, 200 long ones;
- histories: 500 histories of kills, failures and retries of a corpus job.

It prints what pytest says, and ends with its exit code.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tests.nightly.limited import ROOT

TESTS = "tests/contract/test_everywhere.py"
PARTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "runs": ({"RUNS": "100", "PROCESSES": "10"}, [TESTS, "-k", "runs or processes"]),
    "company": ({"EXAMPLES": "125"}, [TESTS, "-k", "company"]),
    "cuts": ({"CUT_SECONDS": "1800"}, [TESTS, "-k", "cuts"]),
    "laws": ({"THOROUGH": "1"}, ["tests/contract/test_tokenizers.py"]),
    "histories": ({"EXAMPLES": "125"}, ["tests/corpus/test_histories.py"]),
}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    code = 0
    for name in parser.parse_args().parts or PARTS:
        more, tests = PARTS[name]
        environment = os.environ | {f"TOKAUDIO_{key}": value for key, value in more.items()}
        command = [sys.executable, "-m", "pytest", "-q", "-o", "timeout=7200", *tests]
        print(f"{name}: {' '.join(command)}", flush=True)
        code = max(code, subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
    return code


if __name__ == "__main__":
    sys.exit(main())
