"""`tokaudio roundtrip`: hear what a tokenizer keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import WRITABLE_SUFFIXES, Job, make_plan
from tokaudio.cli.report import Report, Result, emit, listing

if TYPE_CHECKING:
    from tokaudio.cli.runner import Folders, Ticker


def roundtrip(  # noqa: PLR0917 - typer reads options from parameters
    source: Annotated[str, typer.Argument(metavar="IN", help="Audio file.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="Audio file; its suffix picks the format.")],
    tokenizer: options.TokenizerName = "mini-codec",
    num_codebooks: options.NumCodebooks = None,
    layers: options.Layers = None,
    device: options.Device = "auto",
    allow_truncated: options.Truncated = False,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Encode an audio file, decode it again, and say what it took.

    tokaudio roundtrip in.wav out.wav -k 4
    """
    plan = make_plan([source, target], None, reads=(), writes=WRITABLE_SUFFIXES, suffix=".wav", force=force)

    from tokaudio.cli.coding import decode_tokens, encode_audio, facts_of
    from tokaudio.cli.loading import check_codebooks, check_decodes, choose_device, open_tokenizer
    from tokaudio.cli.runner import run_jobs

    model = open_tokenizer(tokenizer, choose_device(device), layers=layers)
    check_codebooks(num_codebooks, model.spec)
    check_decodes(model)
    report = Report("decoded", quiet=True, as_json=as_json, debug=debug)
    report.facts = {"tokenizer": model.spec.name, "fingerprint": model.fingerprint, "device": str(model.device)}

    def work(job: Job, ticker: Ticker, folders: Folders) -> Result:
        started = time.perf_counter()
        spool, truncated = encode_audio(
            model,
            job.source,
            num_codebooks=num_codebooks,
            allow_truncated=allow_truncated,
            tick=lambda seconds, fraction: ticker.tick(seconds / 2, fraction / 2),
        )
        tokens = spool.tokens()
        middle = time.perf_counter()
        clipped = decode_tokens(
            model,
            tokens,
            job.target,
            force=force,
            tick=lambda seconds, fraction: ticker.tick(seconds / 2, (1 + fraction) / 2),
        )
        facts = {
            **facts_of(tokens, spool.num_frames),
            "truncated": truncated,
            "clipped": clipped,
            "encode_times_real_time": tokens.duration / (middle - started),
            "decode_times_real_time": tokens.duration / (time.perf_counter() - middle),
        }
        return Result(job.source, job.target, tokens.duration, int(tokens.num_tokens.sum()), facts)

    elapsed = run_jobs(plan.jobs, work, report)
    if report.results and not (quiet or as_json):
        emit(listing(_facts(report.results[0])))
    return report.finish(elapsed)


def _facts(result: Result) -> dict[str, object]:
    facts = result.facts
    clipped = {"clipped": f"{facts['clipped']:,} samples"} if facts["clipped"] else {}
    cut_off = {"truncated": "yes, only what is there was encoded"} if facts["truncated"] else {}
    return {
        "output": result.target,
        "tokenizer": facts["tokenizer"],
        "duration": f"{result.seconds:.2f} s",
        "tokens": f"{result.tokens:,} ({facts['codebooks']} codebooks x {facts['frames']} frames)",
        "bitrate": f"{facts['bitrate_kbps']:.4g} kbps",
        "encoding": f"{facts['encode_times_real_time']:.3g}x real time",
        "decoding": f"{facts['decode_times_real_time']:.3g}x real time",
        **cut_off,
        **clipped,
    }
