"""From what should vectors of codes start, and should a probe train them? `python benchmarks/probe_defaults.py`.

Answers it without the quick suite's test set, for whose scores the defaults are fixed: keywords by the voices to learn
from alone, a third of them held out in turn; speakers among those voices alone, by words that the suite does not test,
a third of them held out in turn. Writes a section of RESULTS.md.

Needs nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from results import machine_line, write_section

from tokaudio import Tokenizer
from tokaudio.audio.manifest import Recording
from tokaudio.probes.data.caching import default_cache
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.data.quick_data import read_data
from tokaudio.probes.data.splits import split_by
from tokaudio.probes.models.classifying import ProbeConfig, Split, classify
from tokaudio.probes.models.fitting import FitBudget

THIRDS = 3
VARIANTS = {
    "own, frozen, attention": (True, ProbeConfig(trainable=False)),
    "own, trained, attention": (True, ProbeConfig(trainable=True)),
    "random, frozen, attention": (False, ProbeConfig(trainable=False)),
    "random, trained, attention": (False, ProbeConfig(trainable=True)),
    "own, frozen, mean": (True, ProbeConfig(trainable=False, fusion="mean")),
    "own, frozen, scalar": (True, ProbeConfig(trainable=False, fusion="scalar")),
    "own, frozen, concat": (True, ProbeConfig(trainable=False, fusion="concat")),
}
"""Whether vectors start from the tokenizer's codebooks, and the probe."""


def development() -> list[Recording]:
    """Return the keywords that the quick suite tests neither a voice nor, for speakers, a word of."""
    keywords = [one for one in read_data("quick") if "keyword" in one.facts]
    tested = split_by([one.facts["text"] for one in keywords], seed=0).test
    words = {keywords[number].facts["text"] for number in tested}
    return [one for one in keywords if one.facts["fold"] == "train" and one.facts["text"] not in words]


def held_out(groups: Sequence[str], third: int) -> Split:
    """Return the split whose test set is one third of the groups, in an order that their names draw."""
    ranked = sorted(set(groups), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return split_by(groups, seed=third, test=lambda number: ranked.index(groups[number]) % THIRDS == third)


def scores(source: Extraction, tables: bool, config: ProbeConfig) -> dict[str, float]:
    """Return the share of right answers of each task, over all thirds."""
    found = {}
    for task, asked, apart in (("keywords", "keyword", "voice"), ("speakers", "voice", "keyword")):
        classes = sorted({one.facts[asked] for one in source.recordings})
        labels = np.array([classes.index(one.facts[asked]) for one in source.recordings])
        right, count, inputs = 0, 0, source.codes(tables=tables)
        for third in range(THIRDS):
            split = held_out([one.facts[apart] for one in source.recordings], third)
            said = classify(inputs, labels, split, config, seed=third).predicted
            right, count = right + int((said == labels[split.test]).sum()), count + len(split.test)
        found[task] = right / count
    return found


def main() -> int:
    """Try every variant on every tokenizer and write the section."""
    parser = argparse.ArgumentParser(description="Compare settings of probes on voices that the suite does not test.")
    parser.add_argument("-t", "--tokenizer", action="append", help="may be repeated")
    parser.add_argument("--cache", type=Path, default=default_cache())
    options = parser.parse_args()
    names = options.tokenizer or ["mini-codec", "mini-semantic", "mini-hybrid"]
    recordings = development()
    voices, words = ({one.facts[column] for one in recordings} for column in ("voice", "keyword"))
    sources = {name: Extraction(Tokenizer.from_pretrained(name), recordings, cache=options.cache) for name in names}
    budget = FitBudget(epochs=20, patience=4)
    body = [
        "## Probes: which defaults, chosen without test voices",
        "",
        machine_line(("torch",), threads=1),
        f"{len(recordings)} keywords by {len(voices)} voices, {len(words)} words, none of which the quick suite tests "
        f"for the task; right answers over {THIRDS} parts, each held out once. Vectors of codes: own are the "
        "tokenizer's codebooks. x-vector head.",
        "",
        "| vectors, fusion | " + " | ".join(f"{name}: keywords, speakers" for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for name, (tables, config) in VARIANTS.items():
        probe = ProbeConfig(config.head, config.fusion, config.trainable, budget)
        rows = [scores(source, tables, probe) for source in sources.values()]
        body.append(
            f"| {name} | " + " | ".join(", ".join(f"{100 * one:.1f} %" for one in row.values()) for row in rows) + " |"
        )
        print(body[-1], flush=True)
    write_section("probe-defaults", "\n".join(body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
