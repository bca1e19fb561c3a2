"""Are HuBERT and WavLM faster and smaller here than in transformers? `python benchmarks/ssl_models.py [NAME ...]`.

Both sides run in one process on the same sound, in turns, with equal random weights at the published widths. A user of
layer 9 or 18 runs all of transformers' model, whose `output_hidden_states` knows no end; times are CPU seconds on one
thread, a speed-up is the median over rounds of theirs divided by ours. Peak memory is that of separate processes.
wav2vec 2.0 is HuBERT's network. Needs the environment that `python tests/parity/install.py` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from results import machine_line, write_section

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
# Classes of transformers, sizes, and the layer that published k-means uses.
MODELS: dict[str, tuple[str, dict[str, Any], int]] = {
    "hubert-base": ("Hubert", {}, 9),
    "wavlm-base": ("WavLM", {}, 9),
    "hubert-large": ("Hubert", LARGE, 18),
    "wavlm-large": ("WavLM", LARGE, 18),
}
RATE = 16_000


def theirs(name: str) -> Any:
    """Return transformers' model of a name, with random weights."""
    import torch
    import transformers

    kind, sizes, _ = MODELS[name]
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes))
    return model.eval().requires_grad_(False)


def ours(model: Any) -> Any:
    """Return our model with the weights of theirs."""
    from tokaudio.tokenizers.backbones import speech_model, speech_sizes

    return speech_model(model.state_dict(), speech_sizes(model.config.to_dict()))


def seconds(action: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def times(name: str, duration: float, rounds: int) -> dict[str, Any]:
    """Return CPU seconds of all rounds, and how far the chosen layer is apart, relative to its peak."""
    import torch

    layer = MODELS[name][2]
    reference = theirs(name)
    model = ours(reference)
    sound = 0.1 * torch.randn(int(duration * RATE), generator=torch.Generator().manual_seed(1))
    actions: dict[str, Callable[[], object]] = {
        "theirs": lambda: reference(sound[None], output_hidden_states=True),
        "layer": lambda: model.hidden_states(sound, (layer,)),
        "all": lambda: model.hidden_states(sound),
    }
    wanted = reference(sound[None], output_hidden_states=True).hidden_states[layer][0]
    apart = float((model.hidden_states(sound, (layer,))[0] - wanted).abs().max() / wanted.abs().max())
    measured = [{key: seconds(action) for key, action in actions.items()} for _ in range(rounds)]
    return {"rounds": measured, "apart": apart}


def peak(name: str, side: str, duration: float) -> float:
    """Return the peak memory of this process in MB after one pass to the chosen layer."""
    import torch

    from tokaudio.nn.ssl import SpeechModel
    from tokaudio.tokenizers.backbones import speech_sizes

    sound = 0.1 * torch.randn(int(duration * RATE))
    kind, sizes, layer = MODELS[name]
    if side == "theirs":
        theirs(name)(sound[None], output_hidden_states=True)
    else:
        SpeechModel(speech_sizes({"model_type": kind.lower(), **sizes})).eval().hidden_states(sound, (layer,))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(*arguments: str) -> Any:
    """Run one measurement in a process of its own and return what it printed.

    Raises:
        RuntimeError: it failed; the message is its last line.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, __file__, "--run", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def row(name: str, duration: float, found: dict[str, Any]) -> str:
    """Return one row of the table of times.

    Example:
        >>> row("wavlm-base", 10, {"rounds": [{"theirs": 3.0, "layer": 1.0, "all": 2.0}], "apart": 1e-6})
        '| 10 s | 3.00 | 1.00 (layer 9) | 3.00 | 2.00 | 1.50 | 1e-06 |'
    """
    rounds = found["rounds"]
    middle = {key: statistics.median(entry[key] for entry in rounds) for key in ("theirs", "layer", "all")}
    faster = {key: statistics.median(entry["theirs"] / entry[key] for entry in rounds) for key in ("layer", "all")}
    parts = (
        f"{duration:g} s",
        f"{middle['theirs']:.2f}",
        f"{middle['layer']:.2f} (layer {MODELS[name][2]})",
        f"{faster['layer']:.2f}",
        f"{middle['all']:.2f}",
        f"{faster['all']:.2f}",
        f"{found['apart']:.0e}",
    )
    return f"| {' | '.join(parts)} |"


def section(name: str, lengths: list[float], peaks: list[float], rounds: int) -> str:
    """Measure one model and return its section.

    Raises:
        RuntimeError: a measurement failed.
    """
    body = [
        f"## Self-supervised models: {name}",
        "",
        machine_line(("torch", "transformers"), threads=1),
        "Random weights at full size. CPU seconds of transformers' whole model, of ours up to a layer, of all of ours:",
        "medians; speed-up: median of theirs / ours. Difference of the layer's states, relative to their peak.",
        "",
        "| length | theirs, all | ours, to a layer | speed-up | ours, all | speed-up | difference |",
        f"|{'---|' * 7}",
        *(row(name, length, in_process("time", name, f"{length}", f"{rounds}")) for length in lengths),
    ]
    if peaks:
        body += ["", f"| peak memory | theirs, all | ours, to layer {MODELS[name][2]} |", "|---|---|---|"]
    for length in peaks:
        both = [in_process("peak", name, side, f"{length}") for side in ("theirs", "ours")]
        body.append(f"| {length:g} s | {both[0]:.0f} MB | {both[1]:.0f} MB |")
    return "\n".join(body)


def run(arguments: list[str]) -> object:
    """Do one measurement in this process."""
    import torch

    torch.set_num_threads(1)
    kind, name, *rest = arguments
    with torch.no_grad():
        return times(name, float(rest[0]), int(rest[1])) if kind == "time" else peak(name, rest[0], float(rest[1]))


def main() -> int:
    """Measure the chosen models and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure self-supervised models beside transformers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"from: {' '.join(MODELS)} (default: all)")
    parser.add_argument("--lengths", type=float, nargs="+", default=[10.0], help="seconds of audio that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peaks", type=float, nargs="*", default=[60.0], help="seconds of audio for peak memory")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run)))
        return 0
    for name in options.names or MODELS:
        body = section(name, options.lengths, options.peaks, options.rounds)
        print(body, flush=True)
        if not options.dry_run:
            write_section(f"ssl-{name}", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
