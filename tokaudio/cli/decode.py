"""`tokaudio decode`: token files to audio files."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import TOKEN_SUFFIXES, WRITABLE_SUFFIXES, Job, make_plan
from tokaudio.cli.report import Report, Result

if TYPE_CHECKING:
    from tokaudio.cli.runner import Folders, Ticker


class Format(StrEnum):
    """Formats that a folder of token files can be decoded to."""

    wav = "wav"
    flac = "flac"
    ogg = "ogg"
    opus = "opus"
    mp3 = "mp3"
    aiff = "aiff"
    w64 = "w64"


Inputs = Annotated[list[str], typer.Argument(metavar="IN... [OUT.wav]", help="Token files or folders.")]
Kind = Annotated[Format, typer.Option("--format", help="Audio format of the files in a folder.")]


def decode(  # noqa: PLR0917 - typer reads options from parameters
    paths: Inputs,
    output: options.Output = None,
    tokenizer: options.OptionalTokenizerName = None,
    kind: Kind = Format.wav,
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Turn token files (.npz) back into audio files.

    tokaudio decode in.npz out.wav

    tokaudio decode FOLDER -o OUT --format flac

    The suffix of OUT picks the format. Each file is decoded by the tokenizer that it names. Folders are mirrored as
    by `encode`; of a.wav.npz both suffixes are replaced, unless two outputs would then be the same.
    """
    suffix = f".{kind.value}"
    plan = make_plan(paths, output, reads=TOKEN_SUFFIXES, writes=WRITABLE_SUFFIXES, suffix=suffix, force=force)
    report = Report("decoded", quiet=quiet, as_json=as_json, debug=debug)
    report.take(plan)
    if not plan.jobs:
        return report.finish(0.0)

    from tokaudio.cli.coding import decode_tokens, facts_of
    from tokaudio.cli.loading import Decoders, check_decodes, choose_device
    from tokaudio.cli.runner import run_jobs
    from tokaudio.storage import load_tokens

    place = choose_device(device)
    decoders = Decoders(tokenizer, place)
    report.facts = {"device": str(place)}

    def work(job: Job, ticker: Ticker, folders: Folders) -> Result:
        tokens = load_tokens(job.source)
        model = decoders.get(job.source, tokens.spec.name)
        check_decodes(model)
        folders.make_for(job.target)
        clipped = decode_tokens(model, tokens, job.target, force=force, tick=ticker.tick)
        facts = {
            **facts_of(tokens, int(tokens.lengths[0])),
            "sample_rate": model.spec.output_sample_rate,
            "clipped": clipped,
        }
        return Result(job.source, job.target, tokens.duration, int(tokens.num_tokens.sum()), facts)

    return report.finish(run_jobs(plan.jobs, work, report, threads=options.threads(jobs, place)))
