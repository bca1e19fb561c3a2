"""Do the tests notice? Ten common mistakes, each put into a copy of the package: `python -m tests.nightly.mutants`.

Each is a change of one place in one file, which must be there exactly once. The tests that are named run on the copy,
which they pass as it is, until one fails. Ten of ten must be noticed. It prints one line of JSON per mistake, and ends
with 1 where one stays unnoticed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.nightly.limited import ROOT


@dataclass(frozen=True)
class Mistake:
    """A change, and the tests that shall notice it.

    Attributes:
        file: of the package.
        right: what stands there, once.
        wrong: what is put there instead.
        tests: of the suite.
    """

    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


MISTAKES: dict[str, Mistake] = {
    "off-by-one hop": Mistake(
        "spec.py",
        "max(1, -(-(num_samples + self.least_padding) // step))",
        "max(1, (num_samples + self.least_padding) // step + 1)",
        ("tests/test_spec.py",),
    ),
    "wrong padding side": Mistake(
        "nn/conv.py",
        "return (kernel_size - 1) * dilation + 1 - stride, 0\n",
        "return 0, (kernel_size - 1) * dilation + 1 - stride\n",
        ("tests/nn/test_conv.py", "tests/nn/test_seanet.py"),
    ),
    "swapped codebooks": Mistake(
        "quantizers/chain.py",
        "total = total + self._lookup(index, codes[:, index])",
        "total = total + self._lookup(index, codes[:, -index])",
        ("tests/quantizers/test_residual.py",),
    ),
    "missing eval": Mistake(
        "tokenizers/pretrained.py",
        "return tokenizer.eval().requires_grad_(False)",
        "return tokenizer.requires_grad_(False)",
        ("tests/tokenizers/test_pretrained.py",),
    ),
    "16-bit overflow": Mistake(
        "spec.py",
        '"uint16" if largest <= 2**16',
        '"uint16" if largest <= 2**17',
        ("tests/test_spec.py", "tests/storage/test_npz.py"),
    ),
    "wrong tie rule": Mistake(
        "quantizers/search.py",
        'return column.new_full((len(vectors),), len(codebook)).scatter_reduce(0, row, column, "amin")',
        "column = torch.where(column < len(codebook), column, -1)\n"
        '    return column.new_full((len(vectors),), -1).scatter_reduce(0, row, column, "amax")',
        ("tests/quantizers/test_search.py",),
    ),
    "wrong resampler": Mistake(
        "audio/resample.py", 'quality="HQ")', 'quality="MQ")', ("tests/audio/test_resample.py",)
    ),
    "stale EMA": Mistake(
        "quantizers/codebook.py",
        "        self.sums[dead] = drawn * share\n",
        "",
        ("tests/quantizers/test_codebook.py", "tests/quantizers/test_learning.py"),
    ),
    "offset collision": Mistake(
        "layouts/ranges.py",
        "        first += size\n",
        "        first += size - 1\n",
        ("tests/layouts/test_vocabulary.py", "tests/layouts/test_flat.py"),
    ),
    "lost last frame": Mistake(
        "audio/chunk.py",
        "return out[:, : (self.plan.frames(self.pushed) - done) * self.out_per_frame]",
        "return out[:, : (self.plan.frames(self.pushed) - done - 1) * self.out_per_frame]",
        ("tests/audio/test_chunk.py",),
    ),
}


def copied(place: Path) -> Path:
    """Copy the package and its tests; the weights are linked."""
    assets = ROOT / "tokaudio" / "assets"
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        ROOT / "tokaudio", place / "tokaudio", ignore=lambda at, names: {"assets"} & {*names} | leave(at, names)
    )
    (place / "tokaudio" / "assets").symlink_to(assets)
    shutil.copytree(ROOT / "tests", place / "tests", ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


def passes(place: Path, tests: tuple[str, ...]) -> tuple[bool, str]:
    """Run tests on a copy until one fails, and return whether all pass and what was said last."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    # 1: tests failed. Anything else, such as a package that cannot be imported, would say nothing.
    assert done.returncode in (0, 1), done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.returncode == 0, failed[-1].partition(" - ")[0] if failed else ""


def noticed(place: Path, mistake: Mistake) -> dict[str, object]:
    """Make a mistake in a copy, run its tests, and take it back."""
    path = place / "tokaudio" / mistake.file
    text = path.read_text(encoding="utf-8")
    if (found := text.count(mistake.right)) != 1:
        return {"noticed": False, "problem": f"what is to be changed is there {found} times"}
    began = time.monotonic()
    path.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    passed, by = passes(place, mistake.tests)
    path.write_text(text, encoding="utf-8")
    return {"noticed": not passed, "by": by, "seconds": round(time.monotonic() - began, 1)}


def main() -> int:
    """Make the mistakes that are asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mistakes", nargs="*", choices=[[], *MISTAKES])
    names, right = parser.parse_args().mistakes or list(MISTAKES), 0
    with tempfile.TemporaryDirectory() as folder:
        place = copied(Path(folder))
        whole, problem = passes(place, tuple(dict.fromkeys(test for name in names for test in MISTAKES[name].tests)))
        print(json.dumps({"mistake": None, "passes": whole, "problem": problem}), flush=True)
        for name in names:
            told = noticed(place, MISTAKES[name])
            print(json.dumps({"mistake": name, **told}), flush=True)
            right += bool(told["noticed"])
    print(f"{right} of {len(names)} noticed")
    return 0 if whole and right == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
