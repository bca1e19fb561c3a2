"""`tokaudio corpus stats`: what a corpus holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import DONE

if TYPE_CHECKING:
    from tokaudio.corpus.statistics import CorpusStatistics

Folder = Annotated[str, typer.Argument(metavar="OUT", help="Folder of corpus encode.")]
_SHOWN = 10


def stats(folder: Folder, as_json: options.Json = False, debug: options.Debug = False) -> int:
    """Tell hours, tokens, bytes, speakers, languages, and how much of each codebook is used."""
    from tokaudio.cli.report import columns, emit, emit_json, listing
    from tokaudio.corpus.statistics import corpus_statistics

    found = corpus_statistics(folder)
    if as_json:
        emit_json(_document(found))
        return DONE
    emit(listing(_facts(found)))
    for name, times in found.seconds_by.items():
        emit(f"\n{name} (hours; {len(times):,} in all)")
        emit(listing({value or "(none)": f"{seconds / 3600:.4g}" for value, seconds in list(times.items())[:_SHOWN]}))
    rows = [["codebook", "size", "used", "utilisation", "perplexity"]]
    for k, one in enumerate(found.codebooks):
        rows.append([str(k), f"{one.size:,}", f"{one.used:,}", f"{one.utilisation:.1%}", f"{one.perplexity:,.1f}"])
    emit("\n" + columns(rows))
    return DONE


def _facts(found: CorpusStatistics) -> dict[str, str]:
    summary = found.summary
    return {
        "tokenizer": f"{found.tokenizer} ({found.fingerprint})",
        "inputs": f"{summary.listed:,}: {summary.ok:,} ok, {summary.failed:,} failed, {summary.skipped:,} skipped",
        "shards": f"{summary.shards:,}",
        "hours": f"{summary.hours:,.4g}",
        "lengths": f"{found.shortest:.3g} to {found.longest:,.6g} s",
        "tokens": f"{found.tokens:,} ({found.tokens_per_second:,.4g} a second)",
        "bytes": f"{summary.bytes:,} ({found.bytes_per_hour / 1e6:,.3g} MB an hour)",
    }


def _document(found: CorpusStatistics) -> dict[str, Any]:
    document = asdict(found)
    for one, counts in zip(document["codebooks"], found.codebooks, strict=True):
        one["utilisation"] = counts.utilisation
    return document | {"bytes_per_hour": found.bytes_per_hour, "tokens_per_second": found.tokens_per_second}
