"""The command line: `tokaudio COMMAND`, one module for each command, put together in `app`.

Results go to stdout, failures and progress to stderr, one line per failure. Exit codes: 0 done; 1 some inputs failed;
2 misuse or unreadable input; 3 the environment (disk, permission, missing package); 130 interrupted.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

_BY_SIGNAL = 128
_THREADS = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}


def main() -> int:
    """Run the command line of this process, and return its exit code."""
    import signal

    # Before torch is imported: codes are computed on one thread per file, and idle OpenMP threads burn CPU time.
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)
    _own_stderr()
    code = run(sys.argv[1:], abrupt=True)
    if code >= _BY_SIGNAL:
        # What threads still compute is of no use, and the interpreter would wait for it.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
    # All is said and done: a signal that comes while the interpreter ends changes nothing.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


def _own_stderr() -> None:
    """Give Python's stderr a descriptor of its own, out of reach of `quiet_stderr`, which other threads may hold."""
    with suppress(AttributeError, OSError, ValueError):
        own = os.dup(sys.stderr.fileno())
        sys.stderr = open(own, "w", 1, sys.stderr.encoding, sys.stderr.errors)  # noqa: SIM115, PTH123


def run(arguments: Sequence[str], *, abrupt: bool = False) -> int:
    """Run one command line in this process and return its exit code.

    Args:
        arguments: without the name of the program.
        abrupt: whether a signal may end this process at once where nothing is being written.

    Example:
        >>> run(["info", "no-such-file.wav"])
        2
    """
    from tokaudio.cli.failures import report_failure
    from tokaudio.cli.signals import interruptible

    # Not list(): here that name is the module of the command, once it has been imported.
    arguments = [*arguments]
    with interruptible(abrupt=abrupt) as interruption:
        try:
            code = _dispatch(arguments)
        except (Exception, KeyboardInterrupt) as error:
            # An interrupt may surface as another error, such as an ImportError.
            if interruption.code is None and not isinstance(error, KeyboardInterrupt):
                return report_failure(error, as_json="--json" in arguments, debug="--debug" in arguments)
            code = 130
        if interruption.code is not None or code == 130:
            sys.stderr.write(interruption.message)
            return interruption.code or 130
    return code


def _dispatch(arguments: Sequence[str]) -> int:
    from tokaudio import __version__
    from tokaudio.cli.app import app, help_text
    from tokaudio.cli.failures import MISUSE
    from tokaudio.cli.report import emit

    if arguments[:1] in ([], ["-h"], ["--help"], ["--version"]):
        emit(f"tokaudio {__version__}" if arguments[:1] == ["--version"] else help_text())
        return 0 if arguments else MISUSE
    try:
        code = app(args=arguments, prog_name="tokaudio", standalone_mode=False)
    except SystemExit as error:
        code = error.code
    return code if isinstance(code, int) else 0
