"""`tokaudio probe`: what a tokenizer's tokens are good for, and how sure that is."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaudio.cli import options
from tokaudio.cli.batch import check_output
from tokaudio.cli.failures import DONE

Suite = Annotated[str, typer.Option("--suite", metavar="NAME", help="Tasks to run: quick, generative or all.")]
Tasks = Annotated[
    str | None, typer.Option("--task", metavar="T,T,...", help="Tasks to run instead: ks, sid, enhancement, tts, ...")
]
Data = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DIR|MANIFEST|CORPUS:DIR",
        help="Labelled recordings: `quick` for those that ship, a manifest, or a corpus such as librispeech:DIR.",
    ),
]
Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="OUT.json", help="Write the results to this file.")
]
Minutes = Annotated[
    float | None, typer.Option("--budget", min=0.0, metavar="MINUTES", help="Leave out seeds and floors beyond that.")
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, max=100, metavar="N", help="Trainings of each probe.")]
Permutations = Annotated[int, typer.Option("--permutations", min=0, metavar="N", help="Of labels, for the floor.")]
Head = Annotated[
    str | None, typer.Option("--head", metavar="NAME", help="linear, xvector, ecapa, bilstm or conformer.")
]
Fusion = Annotated[str, typer.Option("--fusion", metavar="NAME", help="scalar, attention, mean or concat.")]
Initial = Annotated[
    str, typer.Option("--initial", metavar="NAME", help="Vectors of codes: the tokenizer's `codebooks`, or `random`.")
]
Trainable = Annotated[bool, typer.Option("--trainable", help="Let the probe change the vectors of codes.")]
Reads = Annotated[str, typer.Option("--reads", metavar="NAME", help="tokens, or embed: what a decoder receives.")]
Cache = Annotated[
    str | None, typer.Option("--cache", metavar="DIR", help="Where tokens and runs are kept; ~/.cache by default.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "-j", "--jobs", min=1, max=256, metavar="N", help="Trainings side by side; one for each core if not said."
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Compute everything anew, and keep nothing.")]


def probe(  # noqa: PLR0917 - typer reads options from parameters
    tokenizer: options.TokenizerName = "mini-codec",
    suite: Suite = "quick",
    task: Tasks = None,
    data: Data = "quick",
    output: Output = None,
    budget: Minutes = None,
    seeds: Seeds = 5,
    num_codebooks: options.NumCodebooks = None,
    permutations: Permutations = 3,
    head: Head = None,
    fusion: Fusion = "scalar",
    initial: Initial = "codebooks",
    trainable: Trainable = False,
    reads: Reads = "tokens",
    jobs: Jobs = None,
    cache: Cache = None,
    no_cache: NoCache = False,
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Score a tokenizer on tasks, with small fixed models on its tokens.

    tokaudio probe -t mini-codec -o mini-codec.json

    Each score has an interval over speakers and seeds, and stands beside what guessing, random tokens, an untrained
    encoder, log-mel energies and the tokenizer's own continuous features score. What was interrupted goes on where it
    was: tokens and runs are kept.
    """
    if output is not None:
        check_output(output, force)

    from pathlib import Path

    from tokaudio.cli.loading import choose_device, open_tokenizer
    from tokaudio.cli.probing import ProbeProgress, chosen_tasks, require_choices, tell
    from tokaudio.cli.report import emit_json
    from tokaudio.cli.signals import orderly, say_when_interrupted
    from tokaudio.probes.data.caching import default_cache
    from tokaudio.probes.data.quick_data import read_data
    from tokaudio.probes.records import to_plain
    from tokaudio.probes.results import write_results
    from tokaudio.probes.suite import ProbeOptions, cores
    from tokaudio.probes.suite import probe as run_probes
    from tokaudio.probes.tasks import TaskOptions

    require_choices(head=head, fusion=fusion, initial=initial, reads=reads)
    names = chosen_tasks(suite, task)
    kept_in = None if no_cache else Path(cache) if cache else default_cache()
    settings = ProbeOptions(
        suite=suite if task is None else "own",
        task=TaskOptions(
            seeds=tuple(range(seeds)),
            permutations=permutations,
            corpus=Path(data).name,
            head=head,
            fusion=fusion,
            initial=initial,
            trainable=trainable,
            reads=reads,
        ),
        num_codebooks=num_codebooks,
        minutes=budget,
        cache=kept_in,
        jobs=jobs or cores(),
    )
    recordings = read_data(data)
    model = open_tokenizer(tokenizer, choose_device(device))
    with orderly(), ProbeProgress(quiet=quiet or as_json) as progress:
        if kept_in is not None:
            say_when_interrupted("tokens and finished runs are kept, and the same command goes on from there")
        results = run_probes(model, recordings, names, options=settings, listener=progress)
    if output is not None:
        write_results(results, output, overwrite=force)
    if as_json:
        emit_json(to_plain(results))
    elif not quiet:
        tell(results, output)
    return DONE
