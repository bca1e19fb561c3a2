"""The parts of the quantizer ablation that decide figures, and that a stopped run goes on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import ablation
import ablation_table
import numpy as np
import pytest
import torch

from tokaudio.quantizers import make_quantizer
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipe import Part, Recipe

QUICK = {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1, "latent_dim": 8}


def figures(mel: float, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {"says": f"row of {mel}", "bits": 10.0, "mel": mel, "stoi": 0.8, "pesq": 1.5}
    return row | {"used": [1.0, 0.625], "entropy": [4.0, 3.5], "phones": [0.5, 0.25, 0.75], **changes}


def test_rows_side_by_side_have_equal_bits_per_frame():
    for row in ablation.rows():
        made = make_quantizer(row.quantizer.name, {"dim": 64, **row.quantizer.options})
        bits = float(np.log2(np.array(made.codebook_sizes, dtype=float)).sum())
        assert bits == pytest.approx(float(row.name.rpartition("-")[2])), row.name


def test_names_of_rows_are_their_own():
    names = [row.name for row in ablation.rows()]
    assert len(set(names)) == len(names)
    named = {row.quantizer.options.get("inner", row.quantizer.name) for row in ablation.rows()}
    assert named >= {"vq", "rvq", "fsq", "residual-fsq", "lfq", "bsq", "simvq"}


def test_a_row_is_known_by_what_decides_it(tmp_path: Path):
    pool = small_pool(tmp_path / "pool", seconds=2)
    row, other = ablation.rows()[:2]
    known = {
        ablation.identity(ablation.recipe(quantizer, steps, quantized=True), speech, start)
        for quantizer, steps, start, speech in (
            (row.quantizer, 5, 9, pool),
            (other.quantizer, 5, 9, pool),
            (row.quantizer, 6, 9, pool),
            (row.quantizer, 5, 8, pool),
            (row.quantizer, 5, 9, small_pool(tmp_path / "longer", seconds=3)),
        )
    }
    assert len(known) == 5


def test_figures_of_another_training_are_none(tmp_path: Path):
    path = tmp_path / "figures.json"
    assert ablation.finished(path, "a") is None
    path.write_text(json.dumps({"key": "a", "mel": 0.5}))
    assert ablation.finished(path, "a") == {"mel": 0.5}
    assert ablation.finished(path, "b") is None


def test_codes_are_joined_only_while_they_can_be_counted():
    codes = np.array([[0, 1, 1], [0, 0, 2]])
    (joint,) = ablation.together(codes, [2, 3])
    assert joint.tolist() == [0, 1, 5]
    assert ablation.together(codes, [1024, 1024]) == []


def test_usage_counts_codes_and_their_entropy():
    codes = np.array([[0, 1, 2, 3] * 4, [2] * 16])
    assert ablation.usage(codes, [8, 4]) == [(0.5, pytest.approx(2.0)), (0.25, 0.0)]


def test_tables_hold_rows_of_equal_bits_best_first():
    given = {"a": figures(0.5), "b": figures(0.25, phones=[0.5, 0.25]), "c": figures(0.1, bits=39.9)}
    few = ablation_table.by_bits(given)
    assert [(bits, list(rows)) for bits, rows in few.items()] == [(10, ["a", "b"]), (40, ["c"])]
    first, second = ablation_table.table(few[10])[2:]
    assert first == "| row of 0.25 | 0.250 | 0.800 | 1.50 | 62 % | 7.5 | 0.500 | - |"
    assert second.endswith("| 0.500 | 0.750 |") and second.startswith("| row of 0.5 |")
    assert {line.count("|") for line in ablation_table.table(few[10])} == {9}


def test_the_page_is_the_section_a_level_higher():
    plan = ablation.recipe(Part("vq"), 5, quantized=True)
    told = ablation_table.section({"a": figures(0.5)}, hours=4.5, start=1200, steps=600, crops=plan.data)
    assert "1,200 steps" in told and "4.50 hours" in told and "### 10 bits per frame, 0.5 kbit/s" in told
    page = ablation_table.page(told)
    assert page.startswith("# Quantizers") and "\n## 10 bits" in page and "###" not in page


def small_pool(folder: Path, *, seconds: int) -> AudioPool:
    noise = np.random.default_rng(0).normal(0, 0.1, seconds * 16_000).astype(np.float32)
    write_pool(folder, [("a", "demo", noise)], 16_000)
    return AudioPool(folder)


def small_recipe(quantizer: Part, steps: int, *, quantized: bool) -> Recipe:
    plan = ablation.recipe(quantizer, steps, quantized=quantized)
    return dataclasses.replace(plan, initial_batches=1, data=dataclasses.replace(plan.data, batch=1, crop_seconds=0.4))


def test_rows_go_on_from_the_autoencoder_and_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ablation, "BODY", Part("spectral", QUICK))
    pool, fsq = small_pool(tmp_path / "pool", seconds=2), Part("fsq", {"levels": [4, 4]})
    first = ablation.trained(small_recipe(fsq, 2, quantized=False), pool, tmp_path / "start", None)
    assert not first.quantizing
    start, plan = ablation.body_weights(first), small_recipe(fsq, 1, quantized=True)
    row = ablation.trained(plan, pool, tmp_path / "row", start)
    assert row.quantizing
    moved = {name: value for name, value in row.nets.body.state_dict().items() if not torch.equal(value, start[name])}
    assert moved
    assert all(float((value - start[name]).abs().max()) < 0.01 for name, value in moved.items())
    monkeypatch.setattr(ablation.CodecTraining, "step", None)
    again = ablation.body_weights(ablation.trained(plan, pool, tmp_path / "row", start))
    for name, value in ablation.body_weights(row).items():
        assert torch.equal(value, again[name]), name
