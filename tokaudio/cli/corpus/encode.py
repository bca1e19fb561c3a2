"""`tokaudio corpus encode`: a manifest or a folder to shards of tokens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import DONE, SOME_FAILED, refuse

Source = Annotated[str, typer.Argument(metavar="MANIFEST|DIR", help="A manifest (.jsonl, .csv, .tsv) or a folder.")]
Folder = Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="Folder for the shards.")]
Format = Annotated[str, typer.Option("--format", metavar="NAME", help="Of the shards: parquet, webdataset, npz, ...")]
Workers = Annotated[int, typer.Option("-j", "--workers", min=1, max=1024, metavar="N", help="Processes.")]
Readers = Annotated[int, typer.Option("--readers", min=1, max=64, help="Threads of each that decode ahead.")]
Seconds = Annotated[
    float | None,
    typer.Option("--shard-seconds", metavar="S", help="Sound in a shard; by default 10 minutes to 10 hours."),
]
Items = Annotated[int, typer.Option("--shard-items", min=1, metavar="N", help="Most inputs in a shard.")]
Batch = Annotated[float, typer.Option("--batch-seconds", metavar="S", help="Sound that the model is given at once.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Try inputs once more that failed before.")]


def encode(  # noqa: PLR0917 - typer reads options from parameters
    source: Source,
    output: Folder,
    tokenizer: options.TokenizerName = "mini-codec",
    num_codebooks: options.NumCodebooks = None,
    layers: options.Layers = None,
    device: options.Device = "auto",
    form: Format = "parquet",
    workers: Workers = 1,
    readers: Readers = 2,
    shard_seconds: Seconds = None,
    shard_items: Items = 10_000,
    batch_seconds: Batch = 60.0,
    retry_failed: Retry = False,
    allow_truncated: options.Truncated = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Turn a corpus into shards of tokens.

    tokaudio corpus encode manifest.jsonl -o tokens/ -t mini-codec --workers 8

    The same command goes on where it was cut off, by whatever; several may work on one folder at once, also under
    torchrun or Slurm. The bytes are the same in any case. Inputs that cannot be used are listed with their reasons in
    OUT/.tokaudio/failed.jsonl.
    """
    for name, value in (("--shard-seconds", shard_seconds), ("--batch-seconds", batch_seconds)):
        if value is not None and not value > 0:
            raise refuse(f"{name} {value}", "is no length", "give seconds, more than 0")

    from tokaudio.cli.corpus.telling import Teller, said
    from tokaudio.cli.report import emit, emit_json
    from tokaudio.cli.signals import orderly, say_when_interrupted
    from tokaudio.corpus.engines.local import encode_corpus
    from tokaudio.corpus.options import EncodeOptions
    from tokaudio.corpus.plan import Sharding
    from tokaudio.corpus.shards import corpus_format
    from tokaudio.corpus.tokenize_batch import TokenizeBatch

    wanted = None if layers is None else tuple(options.numbers("--layers", layers))
    tokenize = TokenizeBatch(tokenizer, num_codebooks, wanted, device, batch_seconds, allow_truncated)
    with orderly(), Teller(quiet=quiet) as teller:
        say_when_interrupted("finished shards are kept, and the same command goes on from there")
        sharding = Sharding(shard_seconds, shard_items)
        given = EncodeOptions(tokenize, corpus_format(form), sharding, readers, retry_failed)
        summary = encode_corpus(
            source, output, given, workers=workers, tell=teller.tell, prepared=teller.begin, debug=debug
        )
    if as_json:
        emit_json({"output": output, **asdict(summary), "elapsed_seconds": teller.elapsed})
    elif not quiet:
        emit(said(summary, teller, output))
    return SOME_FAILED if summary.failed else DONE
