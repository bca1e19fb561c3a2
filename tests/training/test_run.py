"""Runs: repeatable to the bit, stopped and gone on with anywhere, and ending in a tokenizer."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.audio.manifest import Recording
from tokaudio.errors import AudioError
from tokaudio.tokenizers.self_check import run_self_check
from tokaudio.training.checkpoint import CHECKPOINT, read_checkpoint
from tokaudio.training.codec_training import make_nets
from tokaudio.training.loop import Cadence, Schedule
from tokaudio.training.recipe import Part, Recipe
from tokaudio.training.recipe_files import parse_recipe, read_recipe
from tokaudio.training.resumable import WorkError
from tokaudio.training.run import Listener, TrainedRun, train

TINY = """
name = "tiny"
continuous_steps = 3
initial_batches = 2
[body]
sample_rate = 4000
hop_length = 80
n_fft = 160
latent_dim = 8
encoder_dim = 16
encoder_blocks = 1
decoder_dim = 16
decoder_blocks = 1
[quantizer]
codebook_size = 16
num_codebooks = 2
dropout = 0.5
[data]
batch = 2
crop_seconds = 0.4
validation = 0.2
[losses]
windows = [160, 320]
complex_windows = [160]
[schedule]
steps = 10
warmup = 2
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Eight short sounds at another rate, one of which is broken."""
    folder, found = tmp_path_factory.mktemp("sounds"), []
    for number in range(8):
        time_ = np.arange(6_000) / 8_000
        noise = np.random.default_rng(number).normal(size=6_000)
        sound = 0.3 * np.sin(2 * np.pi * (100 + 60 * number + 90 * time_) * time_) + 0.02 * noise
        soundfile.write(folder / f"{number}.wav", sound, 8_000)
        found.append(Recording(folder / f"{number}.wav", f"{number}.wav"))
    (folder / "broken.wav").write_text("no sound")
    return [*found, Recording(folder / "broken.wav", "broken.wav")]


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(TINY, "tiny.toml")


def stopper(after: int):
    """Say stop when so many questions were asked."""
    asked = iter(range(1000))
    return lambda: next(asked) >= after


def leaves(tree: object) -> list[object]:
    if isinstance(tree, dict):
        return [leaf for key in tree for leaf in leaves(tree[key])]
    return [leaf for item in tree for leaf in leaves(item)] if isinstance(tree, (list, tuple)) else [tree]


def same(first: Path, second: Path) -> bool:
    found, wanted = (leaves(read_checkpoint(folder / CHECKPOINT)) for folder in (first, second))
    return len(found) == len(wanted) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(found, wanted, strict=True)
    )


def test_a_run_ends_in_a_tokenizer_and_tells_of_broken_files_once(recipe: Recipe, recordings, tmp_path: Path):
    class Ears(Listener):
        failures, steps = [], []

        def failed(self, path: str, line: str) -> None:
            self.failures.append((Path(path).name, line))

        def stepped(self, done: int, figures: dict[str, float], hours: float) -> None:
            self.steps.append((done, bool(figures)))

    ears = Ears()
    run = train(recipe, recordings, tmp_path / "run", listener=ears, cadence=Cadence(log_steps=4))
    assert run.finished and run.mel is not None and len(run.usage) == 2
    assert ears.steps == [(step, step in (4, 8, 10)) for step in range(1, 11)]
    ((name, line),) = ears.failures
    assert name == "broken.wav" and line.startswith(str(recordings[-1].path)) and "not an audio file" in line
    tokenizer = Tokenizer.from_pretrained(tmp_path / "run" / "tokenizer")
    assert run_self_check(tokenizer, tmp_path / "run" / "tokenizer").passed
    assert (tokenizer.spec.name, tokenizer.spec.codebook_sizes) == ("tiny", (16, 16))
    card = (tmp_path / "run" / "tokenizer" / "README.md").read_text()
    assert "10 of 10 steps" in card and '"schedule.steps": 10' in card and str(tmp_path) not in card
    assert tokenizer.decode(tokenizer.encode(torch.zeros(800), 4_000)).shape[-1] == 800
    samples = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert samples and len(samples) % 2 == 0 and samples[0].endswith("-after.wav")
    rows = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8, 10] and "commitment" in rows[-1]


def test_the_same_seed_gives_the_same_bits_and_another_others(recipe: Recipe, recordings, tmp_path: Path):
    for name, seed, workers in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0)):
        train(dataclasses.replace(recipe, seed=seed), recordings, tmp_path / name, workers=workers)
    assert same(tmp_path / "a", tmp_path / "b"), "also with another number of workers"
    assert not same(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("stop", [2, 5])
def test_stopping_and_going_on_equals_going_through(recipe: Recipe, recordings, tmp_path: Path, stop: int):
    train(recipe, recordings, tmp_path / "whole")
    first = train(recipe, recordings, tmp_path / "parts", stop=stopper(stop))
    assert (first.done, first.finished, first.folder is None) == (stop, False, stop < 3)
    assert train(recipe, recordings, tmp_path / "parts").finished
    assert same(tmp_path / "whole", tmp_path / "parts")
    weights = [(tmp_path / name / "tokenizer" / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_an_adversary_balancer_and_heads_take_part_and_are_resumed(recipe: Recipe, recordings, tmp_path: Path):
    more = """
[losses.adversarial]
weight = 1.0
from_step = 4
balanced = true
[losses.heads]
weight = 0.1
"""
    text = TINY.replace("crop_seconds = 0.4", "crop_seconds = 0.2").replace("steps = 10", "steps = 6") + more
    rich = parse_recipe(text, "rich.toml")
    train(rich, recordings, tmp_path / "whole", cadence=Cadence(log_steps=1))
    rows = [json.loads(row) for row in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert ["discriminator" in row for row in rows] == [False] * 4 + [True] * 2
    assert all("heads" in row for row in rows)
    train(rich, recordings, tmp_path / "parts", stop=stopper(5))
    train(rich, recordings, tmp_path / "parts")
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_a_teacher_makes_it_hybrid(recipe: Recipe, recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Teacher:
        width, frame_rate = 6, 50

        def __call__(self, signal: torch.Tensor) -> torch.Tensor:
            return signal.unfold(-1, 80, 80).transpose(1, 2)[:, :6]

    monkeypatch.setattr("tokaudio.training.objectives.make_teacher", lambda options, rate: Teacher())
    taught = parse_recipe(TINY + "[losses.semantic]\nweight = 1.0\n", "taught.toml")
    run = train(taught, recordings, tmp_path, cadence=Cadence(log_steps=5))
    assert run.figures["semantic"] > 0
    spec = Tokenizer.from_pretrained(tmp_path / "tokenizer").spec
    assert spec.kind == "hybrid" and spec.codebooks[0].role == "semantic"


def test_a_run_goes_on_from_weights_that_exist(recipe: Recipe, recordings, tmp_path: Path):
    train(recipe, recordings, tmp_path / "first")
    start = str(tmp_path / "first" / "tokenizer")
    tuned = dataclasses.replace(recipe, start_from=start, body=None, quantizer=None, schedule=recipe.schedule)
    run = train(tuned, recordings, tmp_path / "second", stop=stopper(1))
    assert run.usage and Tokenizer.from_pretrained(tmp_path / "second" / "tokenizer").spec.codebook_sizes == (16, 16)


def test_convolutions_learn_on_as_direction_and_length_where_asked(recipe: Recipe, recordings, tmp_path: Path):
    sizes = {"sample_rate": 4_000, "filters": 2, "dimension": 8, "ratios": [8, 5], "lstm_layers": 0}
    first = dataclasses.replace(recipe, body=Part("seanet", sizes), schedule=Schedule(4))
    train(first, recordings, tmp_path / "first")
    start = str(tmp_path / "first" / "tokenizer")
    tuned = dataclasses.replace(first, start_from=start, body=None, quantizer=None, weight_norm=True)
    nets, _ = make_nets(tuned)
    lengths = [name for name, _ in nets.named_parameters() if name.endswith("parametrizations.weight.original0")]
    assert lengths and not any("parametrizations" in name for name, _ in make_nets(first)[0].named_parameters())
    wanted, _ = make_nets(dataclasses.replace(tuned, weight_norm=False))
    sound = 0.1 * torch.randn(1, 1_600, generator=torch.Generator().manual_seed(0))
    assert_near(nets.body.encode(sound), wanted.body.encode(sound), within=1e-5)
    train(tuned, recordings, tmp_path / "parts", stop=stopper(2))
    assert train(tuned, recordings, tmp_path / "parts").finished
    train(tuned, recordings, tmp_path / "whole")
    assert same(tmp_path / "whole", tmp_path / "parts")
    folder = tmp_path / "whole" / "tokenizer"
    assert run_self_check(Tokenizer.from_pretrained(folder), folder).passed


def test_heads_name_phones_and_speakers_where_a_manifest_does(recordings, tmp_path: Path):
    (tmp_path / "a.lab").write_text("#\n0.4 0 a\n0.8 0 b\n")
    facts = [{"who": "ann", "lab": str(tmp_path / "a.lab")}, {"who": "bob"}, {}, {}]
    told = [dataclasses.replace(one, facts=fact) for one, fact in zip(recordings, facts * 2, strict=False)]
    heads = '[losses.heads]\nweight = 0.1\nphones = "lab"\nspeakers = "who"\n'
    recipe = parse_recipe(TINY + heads, "told.toml")
    assert train(recipe, told, tmp_path / "parts", stop=stopper(4)).done == 4
    run = train(recipe, told, tmp_path / "parts", cadence=Cadence(log_steps=1))
    train(recipe, told, tmp_path / "whole")
    assert same(tmp_path / "parts", tmp_path / "whole")
    rows = [json.loads(row) for row in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert {"head_phones", "head_speakers", "head_energy"} <= {name for row in rows for name in row}
    spoken = Tokenizer.from_pretrained(run.folder)
    assert spoken.spec.num_codebooks == 2, "heads stay behind"
    told[1] = dataclasses.replace(told[1], facts={"who": "eve"})
    with pytest.raises(WorkError, match=r"\(labels "):
        train(recipe, told, tmp_path / "parts")


def test_another_recipe_or_other_data_is_refused_by_name(recipe: Recipe, recordings, tmp_path: Path):
    train(recipe, recordings, tmp_path / "run", stop=stopper(1))
    other = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, batch=4))
    with pytest.raises(WorkError, match=r"run: holds unfinished work with other options \(data.batch 2, now 4\); "):
        train(other, recordings, tmp_path / "run")
    with pytest.raises(WorkError, match=r"\(recordings .*now "):
        train(recipe, recordings[1:], tmp_path / "run")
    assert train(other, recordings, tmp_path / "run", start_over=True, stop=stopper(0)).done == 0


def test_data_without_a_sound_is_refused(recipe: Recipe, recordings, tmp_path: Path):
    with pytest.raises(AudioError, match="no recording could be used for training"):
        train(recipe, recordings[-1:], tmp_path / "run")


def test_half_precision_stays_near(recipe: Recipe, recordings, tmp_path: Path):
    runs: list[TrainedRun] = []
    for precision in ("float32", "bfloat16"):
        half = dataclasses.replace(recipe, precision=precision)  # type: ignore[arg-type]
        runs.append(train(half, recordings, tmp_path / precision))
    assert_near(torch.tensor(runs[1].figures["loss"]), torch.tensor(runs[0].figures["loss"]), within=0.1)


def _command(folder: Path, recipe: Path, data: Path) -> list[str]:
    return [sys.executable, "-m", "tokaudio", "train", str(recipe), "--data", str(data), "-o", str(folder), "-q"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_by_a_signal_goes_on(recordings, interruptible, tmp_path: Path, number: signal.Signals):
    long = tmp_path / "long.toml"
    long.write_text(TINY.replace("steps = 10", "steps = 1000000"))
    command = _command(tmp_path / "run", long, recordings[0].path.parent)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    log, deadline = tmp_path / "run" / "log.jsonl", time.monotonic() + 120
    while not log.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    recipe = parse_recipe(long.read_text(), "long.toml")
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted; saved at step" in said.decode() and "the same command goes on" in said.decode()
        assert read_checkpoint(tmp_path / "run" / CHECKPOINT)["done"] > 0
    run = train(recipe, recordings, tmp_path / "run", stop=stopper(5))
    saved = read_checkpoint(tmp_path / "run" / CHECKPOINT)["done"]
    assert run.done == saved >= 5 and (tmp_path / "run" / "tokenizer" / "config.json").is_file()


def test_two_processes_take_the_steps_of_one(recordings, tmp_path: Path):
    file = tmp_path / "tiny.toml"
    file.write_text(TINY.replace("steps = 10", "steps = 6").replace("batch = 2", "batch = 4"))
    train(read_recipe(file), recordings, tmp_path / "one")
    _, *command = _command(tmp_path / "two", file, recordings[0].path.parent)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, *command, "--threads", "1", "--device", "cpu"]
    subprocess.run(command, capture_output=True, check=False, timeout=120)
    one, two = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("one", "two"))
    assert one["done"] == two["done"] == 6
    for name, wanted in one["trainable"]["averaged"].items():
        assert_near(two["trainable"]["averaged"][name], wanted, within=1e-4)
    for name, book in one["trainable"]["codebooks"].items():
        assert_near(two["trainable"]["codebooks"][name]["sums"], book["sums"], within=1e-3)
    assert Tokenizer.from_pretrained(tmp_path / "two" / "tokenizer").spec.name == "tiny"
