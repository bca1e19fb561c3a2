"""`tokaudio encode`: audio files to token files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import AUDIO_SUFFIXES, TOKEN_SUFFIXES, Job, make_plan
from tokaudio.cli.report import Report, Result
from tokaudio.errors import one_line

if TYPE_CHECKING:
    from tokaudio.cli.runner import Folders, Ticker

Inputs = Annotated[list[str], typer.Argument(metavar="IN... [OUT.npz]", help="Audio files or folders.")]


def encode(  # noqa: PLR0917 - typer reads options from parameters
    paths: Inputs,
    output: options.Output = None,
    tokenizer: options.TokenizerName = "mini-codec",
    num_codebooks: options.NumCodebooks = None,
    layers: options.Layers = None,
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    allow_truncated: options.Truncated = False,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Turn audio files into token files (.npz).

    tokaudio encode in.wav out.npz

    tokaudio encode FOLDER -o OUT

    A folder is mirrored: FOLDER/x/a.wav becomes OUT/x/a.npz. Where two inputs would share an output, as a.wav and
    a.flac would, each keeps its whole name: a.wav.npz and a.flac.npz. A file that cannot be used is reported, and the
    others are done.
    """
    plan = make_plan(paths, output, reads=AUDIO_SUFFIXES, writes=TOKEN_SUFFIXES, suffix=".npz", force=force)
    report = Report("encoded", quiet=quiet, as_json=as_json, debug=debug)
    report.take(plan)
    if not plan.jobs:
        return report.finish(0.0)

    from tokaudio.cli.coding import encode_audio, facts_of
    from tokaudio.cli.loading import check_codebooks, choose_device, open_tokenizer
    from tokaudio.cli.runner import run_jobs

    model = open_tokenizer(tokenizer, choose_device(device), layers=layers)
    check_codebooks(num_codebooks, model.spec)
    report.facts = {"tokenizer": model.spec.name, "fingerprint": model.fingerprint, "device": str(model.device)}

    def work(job: Job, ticker: Ticker, folders: Folders) -> Result:
        tokens, truncated = encode_audio(
            model, job.source, num_codebooks=num_codebooks, allow_truncated=allow_truncated, tick=ticker.tick
        )
        if truncated:
            report.warn(one_line(job.source, "is cut off", "only what is there was encoded"))
        ticker.tick(0.0, 1.0)
        folders.make_for(job.target)
        tokens.write(job.target, overwrite=force)
        facts = {**facts_of(tokens, tokens.num_frames), "truncated": truncated}
        return Result(job.source, job.target, tokens.duration, tokens.num_tokens, facts)

    return report.finish(run_jobs(plan.jobs, work, report, threads=options.threads(jobs, model.device)))
