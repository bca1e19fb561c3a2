"""A report with every section, made of little data, whose names are hostile."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import torch

from tests.analysis.toys import toy
from tokaudio import Tokens
from tokaudio.analysis.annotated.annotations import Annotation
from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.decoding.ablation_results import Ablation, BandAttribution, LeftOut, Prefix
from tokaudio.analysis.decoding.swaps import CodebookSwap, Swaps
from tokaudio.analysis.report_builder import ReportBuilder
from tokaudio.analysis.robustness.results import CodebookRobustness, Robustness, TransformRobustness
from tokaudio.analysis.sections import Rows
from tokaudio.analysis.single_codes.codebook_map import codebook_map, neighbours
from tokaudio.analysis.single_codes.held_codes import HeldCodes
from tokaudio.analysis.single_codes.prototypes import PrototypeMeter
from tokaudio.analysis.sounds import Clip
from tokaudio.analysis.statistics.ratios import Estimate
from tokaudio.spec import CodebookSpec

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">'{{ 7 * 7 }}"
RATE = 16_000
SURE = Estimate(0.25, (0.125, 0.5))
UNSURE = Estimate(float("nan"), None)


def sounds() -> list[Clip]:
    """Tones; the first has a hostile name."""
    tone = np.sin(np.arange(RATE) / 5).astype(np.float32) / 2
    return [Clip(tone, RATE, HOSTILE if number == 0 else f"tone {number}") for number in range(30)]


@cache
def full_report() -> Report:
    """Return a report of two codebooks, of which the first is the speaker."""
    spec = toy(CodebookSpec(8), CodebookSpec(6))
    builder = ReportBuilder(spec)
    meter = PrototypeMeter(spec, num_mels=8)
    random = np.random.default_rng(0)
    for number, sound in enumerate(sounds()):
        codes = np.stack([np.full(50, number % 3), random.integers(0, 6, 50)])
        known = Annotation(facts={"speaker": f"{HOSTILE} {number % 3}"})
        builder.add(Tokens.from_codes(torch.from_numpy(codes), spec), None, known)
        meter.add(codes, [sound.samples[None]], RATE, name=sound.name, phones=codes[0])
    tables = [torch.randn(8, 3, generator=torch.manual_seed(1)), torch.randn(6, 3, generator=torch.manual_seed(2))]
    changes = [
        TransformRobustness(
            name, (CodebookRobustness(SURE, SURE, 0.1, 50), CodebookRobustness(SURE, UNSURE, 0.1, 0)), 3, 0
        )
        for name in ("gain -6 dB", HOSTILE)
    ]
    found = builder.finish(
        vectors=tables,
        sections={
            "prototypes": meter.finish(phone_names=[HOSTILE, "b", "c"]),
            "ablation": _ablation(),
            "swaps": _swaps(),
            "robustness": Robustness(tuple(changes), {HOSTILE: HOSTILE}, 3.0),
            "maps": Rows((codebook_map(tables[0]), None)),
            "neighbours": Rows((neighbours(tables[0], count=3, of=[0, 1]), None)),
        },
        notes=[HOSTILE],
    )
    tone = sounds()[1].samples[: RATE // 4]
    return dataclasses.replace(found, held=HeldCodes({(0, 0): tone, (1, 5): tone}, RATE))


def document() -> dict[str, Any]:
    """Return the report as plain values."""
    return full_report().to_dict() | {"tokenizer": full_report().to_dict()["tokenizer"] | {"name": HOSTILE}}


def _swaps() -> Swaps:
    return Swaps((CodebookSwap(0, SURE, SURE, SURE, SURE, UNSURE, True), CodebookSwap(1, *[None] * 5, False)), SURE, 2)


def _ablation() -> Ablation:
    metric = {"mel distance": SURE}
    return Ablation(
        prefixes=(Prefix(1, metric, {}), Prefix(2, {"mel distance": UNSURE}, metric)),
        left_out=(
            LeftOut(0, "shuffled", metric, metric, True),
            LeftOut(1, "mean", metric, {"mel distance": UNSURE}, False),
        ),
        bands=((0.0, 500.0), (500.0, 8000.0)),
        attribution=(
            BandAttribution((0.75, 0.25), (SURE, SURE)),
            BandAttribution((float("nan"), float("nan")), (UNSURE, UNSURE)),
        ),
        recordings=3,
        seconds=3.0,
    )
