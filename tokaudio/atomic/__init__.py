"""Output files that appear whole or not at all.

[`AtomicFile`][tokaudio.atomic.AtomicFile] gives a path to write to, for libraries that open files by name;
[`atomic_stream`][tokaudio.atomic.atomic_stream] and [`atomic_write`][tokaudio.atomic.atomic_write] are built on it.
[`AtomicFolder`][tokaudio.atomic.AtomicFolder] does the same for a folder of files that belong together.
All of them write to `.NAME.tmp-PID-RANDOM` next to the target, flush it to the disk, put it in place, and flush the
directory; on any error the temporary file is removed. Without `overwrite`, a file that another process creates
meanwhile is kept, also if it appears at the last moment.
"""

from tokaudio.atomic.refusals import output_error
from tokaudio.atomic.streams import atomic_stream, atomic_write
from tokaudio.atomic.targets import AtomicFile, AtomicFolder, Step

__all__ = ["AtomicFile", "AtomicFolder", "Step", "atomic_stream", "atomic_write", "output_error"]
