"""Are HuBERT and WavLM faster and smaller here than elsewhere? `python benchmarks/ssl_models.py [NAME ...]`.

Beside transformers and torchaudio, in one process on the same sound, in turns, with equal random weights at the
published widths. A user of layer 9 or 18 runs all of transformers' model, whose `output_hidden_states` knows no end;
torchaudio's `extract_features` and ours stop there. Times are CPU seconds on one thread, a speed-up is the median over
rounds of theirs divided by ours. Peak memory is that of separate processes. wav2vec 2.0 is HuBERT's network. Needs the
environment that `python tests/parity/install.py` makes.
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
from collections.abc import Callable, Sequence
from functools import partial
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
SIDES = ("transformers", "torchaudio", "ours")
# What torch and the system say where memory does not suffice.
TOO_LITTLE = ("allocate", "memory", "MemoryError")


def theirs(name: str, layers: int = 0) -> Any:
    """Return transformers' model of a name, with random weights, and of so many layers if any are named."""
    import torch
    import transformers

    kind, sizes, _ = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**(sizes | ({"num_hidden_layers": layers} if layers else {})))
    return getattr(transformers, f"{kind}Model")(config).eval().requires_grad_(False)


def torchaudios(model: Any) -> Any:
    """Return torchaudio's model with the weights of transformers'."""
    from torchaudio.models.wav2vec2.utils import import_huggingface_model

    return import_huggingface_model(model).eval().requires_grad_(False)


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
    model, peer = ours(reference), torchaudios(reference)
    sound = 0.1 * torch.randn(int(duration * RATE), generator=torch.Generator().manual_seed(1))
    actions: dict[str, Callable[[], Any]] = {
        "transformers": lambda: reference(sound[None], output_hidden_states=True).hidden_states[layer][0],
        "torchaudio to": lambda: peer.extract_features(sound[None], num_layers=layer)[0][-1][0],
        "torchaudio": lambda: peer.extract_features(sound[None])[0][layer - 1][0],
        "ours to": lambda: model.hidden_states(sound, (layer,))[0],
        "ours": lambda: model.hidden_states(sound)[layer],
    }
    # This also warms up.
    found = {key: action() for key, action in actions.items()}
    peak = found["transformers"].abs().max()
    apart = max(float((found["ours to"] - found[key]).abs().max() / peak) for key in ("transformers", "torchaudio"))
    measured = [{key: seconds(action) for key, action in actions.items()} for _ in range(rounds)]
    return {"rounds": measured, "apart": apart}


def peak(name: str, side: str, duration: float, layers: int = 0) -> float:
    """Return the peak memory of this process in MB after one pass to the chosen layer.

    With `layers`, models have only so many, and the last one is chosen.
    """
    import torch

    from tokaudio.nn.ssl import SpeechModel
    from tokaudio.tokenizers.backbones import speech_sizes

    sound = 0.1 * torch.randn(int(duration * RATE))
    kind, sizes, layer = MODELS[name]
    if side == "transformers":
        theirs(name, layers)(sound[None], output_hidden_states=True)
    elif side == "torchaudio":
        torchaudios(theirs(name, layers)).extract_features(sound[None], num_layers=layers or layer)
    else:
        whole = speech_sizes({"model_type": kind.lower(), **sizes})
        SpeechModel(whole, layers=layers or layer).eval().hidden_states(sound, (layers or layer,))
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
        >>> round_ = {"transformers": 3.0, "torchaudio to": 1.5, "torchaudio": 2.0, "ours to": 1.0, "ours": 2.0}
        >>> row("wavlm-base", 10, {"rounds": [round_], "apart": 1e-6})
        '| 10 s | 3.00 | 1.50 | 2.00 | 1.00 (layer 9) | 3.00, 1.50 | 2.00 | 1.50, 1.00 | 1e-06 |'
    """
    rounds = found["rounds"]
    middle = {key: f"{statistics.median(entry[key] for entry in rounds):.2f}" for key in rounds[0]}

    def faster(their: str, our: str) -> str:
        return f"{statistics.median(entry[their] / entry[our] for entry in rounds):.2f}"

    parts = (
        f"{duration:g} s",
        middle["transformers"],
        middle["torchaudio to"],
        middle["torchaudio"],
        f"{middle['ours to']} (layer {MODELS[name][2]})",
        f"{faster('transformers', 'ours to')}, {faster('torchaudio to', 'ours to')}",
        middle["ours"],
        f"{faster('transformers', 'ours')}, {faster('torchaudio', 'ours')}",
        f"{found['apart']:.0e}",
    )
    return f"| {' | '.join(parts)} |"


def memory_cell(name: str, side: str, duration: float, layers: int, limit: int) -> str:
    """Return the peak memory of one side, or that it is more than the limit in GB.

    Raises:
        RuntimeError: the measurement failed for another reason.
    """
    try:
        cell = f"{in_process('peak', name, side, f'{duration}', f'{layers}', f'{limit}'):.0f} MB"
    except RuntimeError as error:
        if not any(word in str(error) for word in TOO_LITTLE):
            raise
        cell = f"more than {limit} GB"
    # A run of all models takes long: what it has found so far is worth seeing.
    print(f"{name}, {side}: {cell}", file=sys.stderr, flush=True)
    return cell


def section(name: str, lengths: list[float], rounds: int) -> str:
    """Time one model and return its section.

    Raises:
        RuntimeError: a measurement failed.
    """
    body = [
        f"## Self-supervised models: {name}",
        "",
        machine_line(("torch", "torchaudio", "transformers"), threads=1),
        "Random weights at full size. CPU seconds, medians: of transformers' whole model, of torchaudio's to a layer",
        "and whole, of ours likewise; speed-up: median of theirs / ours, beside transformers and beside torchaudio.",
        "Difference of the layer's states from either, relative to their peak.",
        "",
        "| length | transformers | torchaudio, to the layer | torchaudio | ours, to the layer | speed-up | ours "
        "| speed-up | difference |",
        f"|{'---|' * 9}",
        *(row(name, length, in_process("time", name, f"{length}", f"{rounds}")) for length in lengths),
    ]
    return "\n".join(body)


def memory_section(names: Sequence[str], duration: float, layers: int, limit: int) -> str:
    """Measure the memory of some models and return the section.

    Raises:
        RuntimeError: a measurement failed.
    """
    size = (
        f"{layers} layer{'s' * (layers > 1)} of each model" if layers else "transformers' whole models, ours to a layer"
    )
    body = [
        f"## Self-supervised models: memory for {duration:g} s",
        "",
        machine_line(("torch", "torchaudio", "transformers"), threads=1),
        f"Peak memory of a process with one pass, weights included: {size}; random weights at full width.",
        "",
        "| model | transformers | torchaudio | ours |",
        "|---|---|---|---|",
    ]
    for name in names:
        cells = [memory_cell(name, side, duration, layers, limit) for side in SIDES]
        body.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(body)


def run(arguments: list[str]) -> object:
    """Do one measurement in this process."""
    import torch

    torch.set_num_threads(1)
    kind, name, *rest = arguments
    with torch.no_grad():
        if kind == "time":
            return times(name, float(rest[0]), int(rest[1]))
        side, duration, layers, limit = rest
        # So that what does not fit fails by itself, and nothing else on the machine with it.
        resource.setrlimit(resource.RLIMIT_AS, (int(limit) * 10**9, -1))
        return peak(name, side, float(duration), int(layers))


def main() -> int:
    """Measure the chosen models and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure self-supervised models beside transformers and torchaudio.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"from: {' '.join(MODELS)} (default: all)")
    parser.add_argument("--lengths", type=float, nargs="+", default=[10.0], help="seconds of audio that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=float, metavar="SECONDS", help="measure memory for so much audio, not times")
    parser.add_argument("--memory-layers", type=int, default=0, help="of the models in memory (default: all)")
    parser.add_argument("--limit", type=int, default=8, help="GB that a measurement of memory may take")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run)))
        return 0
    names = options.names or list(MODELS)
    if options.memory:
        bodies = {"memory": partial(memory_section, names, options.memory, options.memory_layers, options.limit)}
    else:
        bodies = {name: partial(section, name, options.lengths, options.rounds) for name in names}
    for name, measure in bodies.items():
        body = measure()
        print(body, flush=True)
        if not options.dry_run:
            write_section(f"ssl-{name}", body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
