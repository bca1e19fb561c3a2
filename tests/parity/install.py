"""Make this Python's environment able to run the parity tests: `python tests/parity/install.py`.

Use an environment of its own (`python -m venv`). Installs tokaudio with its extra [parity] at the versions of
constraints.txt, then the reference implementations of oracles.txt without their dependencies, most of which pin old
versions of torch. Nothing outside the environment is touched. Inside it, two things are removed, and named:

- the compiled files of torchaudio, which are built for a GPU torch and stop `import torchaudio` on a CPU-only one;
  without them its Python part works, which is all that the references use;
- the package `tests` that descript-audio-codec leaves in site-packages, which would hide our own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def pip_install(*arguments: str) -> None:
    """Run pip of this environment."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-c", str(ROOT / "constraints.txt"), *arguments], check=True
    )


def remove_obstacles(site: Path) -> list[Path]:
    """Remove what stops the references or our tests from being imported, and return what was removed."""
    removed = sorted(site.glob("torchaudio/**/*.so"))
    for path in removed:
        path.unlink()
    leftover = site / "tests"
    if (leftover / "__init__.py").exists():
        shutil.rmtree(leftover)
        removed.append(leftover)
    return removed


def main() -> int:
    """Install, remove, say so; the exit code is 1 outside a virtual environment."""
    if sys.prefix == sys.base_prefix:
        print(f"{sys.executable}: is not in a virtual environment, whose files may be removed", file=sys.stderr)
        return 1
    pip_install(f"{ROOT}[test,parity]")
    pip_install("--no-deps", "-r", str(HERE / "oracles.txt"))
    for path in remove_obstacles(Path(sysconfig.get_path("purelib"))):
        print(f"removed {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
