"""The command line: `tokaudio encode`, `decode`, `roundtrip`, `list`, `info` and `doctor`.

Results go to stdout, failures and progress to stderr, one line per failure. Exit codes: 0 done; 1 some inputs failed;
2 misuse or unreadable input; 3 the environment (disk, permission, missing package); 130 interrupted.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_THREADS = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}


def main() -> int:
    """Run the command line of this process, and return its exit code."""
    # Before torch is imported: codes are computed on one thread per file, and idle OpenMP threads burn CPU time.
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; the interpreter must not try to flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code.

    Example:
        >>> run(["list"])
        name        kind         rate      frames/s  codebooks  bitrate   licence
        mini-codec  compression  16000 Hz  50        8 x 1024   4.0 kbps  apache-2.0
        0
    """
    from tokaudio import __version__
    from tokaudio.cli.failures import MISUSE, report_failure
    from tokaudio.cli.report import emit
    from tokaudio.cli.signals import interruptible

    arguments = list(arguments)
    with interruptible() as interruption:
        try:
            from tokaudio.cli.app import app, help_text

            if arguments[:1] in ([], ["-h"], ["--help"], ["--version"]):
                emit(f"tokaudio {__version__}" if arguments[:1] == ["--version"] else help_text())
                return 0 if arguments else MISUSE
            code = app(args=arguments, prog_name="tokaudio", standalone_mode=False)
        except SystemExit as error:
            code = error.code
        except (Exception, KeyboardInterrupt) as error:
            # An interrupt during an import may surface as an ImportError.
            if interruption.code is None and not isinstance(error, KeyboardInterrupt):
                return report_failure(error, as_json="--json" in arguments, debug="--debug" in arguments)
            code = 130
        if interruption.code is not None or code == 130:
            sys.stderr.write("tokaudio: interrupted; finished files are kept, unfinished ones are removed\n")
            return interruption.code or 130
    return code if isinstance(code, int) else 0
