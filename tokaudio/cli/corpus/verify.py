"""`tokaudio corpus verify`: whether every bit is as it was written; and, if need be, what is hit encoded again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import DONE, SOME_FAILED

Folder = Annotated[str, typer.Argument(metavar="OUT", help="Folder of corpus encode.")]
Repair = Annotated[bool, typer.Option("--repair", help="Encode again what is hit, and remove what does not belong.")]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="MANIFEST|DIR", help="Where the inputs are now, if they have been moved."),
]


def verify(  # noqa: PLR0917 - typer reads options from parameters
    folder: Folder,
    repair: Repair = False,
    source: Source = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Check every file of a corpus against the SHA-256 that was written with it."""
    from tokaudio.cli.corpus.telling import counted
    from tokaudio.cli.report import emit, emit_json
    from tokaudio.cli.signals import orderly, say_when_interrupted
    from tokaudio.corpus.verify import verify_corpus

    findings = verify_corpus(folder)
    document: dict[str, object] = {"findings": [asdict(finding) for finding in findings]}
    for finding in findings:
        emit(f"tokaudio: {Path(folder, finding.name)}{str(finding).removeprefix(finding.name)}", sys.stderr)
    code, words = (SOME_FAILED, f"not as written: {counted(len(findings), 'file')}") if findings else (DONE, "")
    if findings and repair:
        from tokaudio.corpus.repair import repair_corpus

        with orderly():
            say_when_interrupted("the same command goes on from there")
            repaired = repair_corpus(folder, findings, source=source)
        left = verify_corpus(folder)
        code, words = (SOME_FAILED, "cannot be repaired") if left else (DONE, "")
        document |= {"shards": list(repaired.shards), "removed": list(repaired.removed)}
        if not left:
            again, removed = counted(len(repaired.shards), "shard"), counted(len(repaired.removed), "file")
            words = f"repaired: {again} encoded again, {removed} removed"
    if as_json:
        emit_json(document | {"intact": code == DONE})
    elif not quiet:
        emit(f"{folder}: {words or 'every file is as it was written'}")
    return code
