"""The measures of `tokaudio.analysis` as a plain script computes them, with numpy, scikit-learn and dictionaries.

What `analysis.py` is timed against: each figure from its definition, with the functions that one would reach for,
and one frame after the other where no function exists. Not made slow on purpose, and not made fast.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

Array = NDArray[np.int64]
BITS = 1 / math.log(2)
GROUPS, SPLITS, STATED, ORDER, REPEATS = 20, 4, 10_000, 4, 3


def entropy(counts: Array) -> float:
    """Return the entropy of counts in bits."""
    shares = counts[counts > 0] / counts.sum()
    return -float((shares * np.log2(shares)).sum())


def corrected(counts: Array) -> float:
    """Return the same after Miller and Madow."""
    return entropy(counts) + BITS * (np.count_nonzero(counts) - 1) / (2 * counts.sum())


def information(codes: Array, labels: Array) -> float:
    """Return mutual information in bits after Miller and Madow."""
    pairs = codes * (int(labels.max()) + 1) + labels
    sides = (np.unique(side, return_counts=True)[1] for side in (codes, labels, pairs))
    code, label, pair = (corrected(side) for side in sides)
    return code + label - pair


def usage(recordings: list[Array], sizes: list[int]) -> dict[str, Any]:
    """Return use, growth and runs of each codebook."""
    found: dict[str, Any] = {"entropy": [], "rarefied": [], "mean run": [], "heaps": []}
    for book, _ in enumerate(sizes):
        row = np.concatenate([codes[book] for codes in recordings])
        counts = np.unique(row, return_counts=True)[1]
        found["entropy"].append(entropy(counts))
        total = len(row)
        missed = [
            math.exp(
                math.lgamma(total - n + 1) - math.lgamma(total - n - STATED + 1)
                + math.lgamma(total - STATED + 1) - math.lgamma(total + 1)
            )
            for n in counts.tolist()
        ]  # fmt: skip
        found["rarefied"].append(len(counts) - sum(missed))
        found["mean run"].append(total / sum(len(list(groupby(codes[book].tolist()))) for codes in recordings))
        seen: set[int] = set()
        growth = []
        for code in row.tolist():
            seen.add(code)
            growth.append(len(seen))
        at = np.unique(np.geomspace(1, total, 50).round().astype(int))
        found["heaps"].append(float(np.polyfit(np.log(at), np.log(np.array(growth)[at - 1]), 1)[0]))
    return found


def shared(recordings: list[Array], random: np.random.Generator) -> dict[str, Any]:
    """Return what codebooks and neighbours have in common, with one floor for each pair, three for neighbours."""
    codes = np.concatenate(recordings, axis=1)
    chosen = codes[:, random.choice(codes.shape[1], min(codes.shape[1], 100_000), replace=False)]
    pairs = []
    for one in range(len(codes)):
        for other in range(one):
            pairs.append(BITS * mutual_info_score(chosen[one], chosen[other]))
            information(chosen[one], random.permutation(chosen[other]))
    temporal = []
    for row in range(len(codes)):
        before = np.concatenate([one[row, :-1] for one in recordings])
        after = np.concatenate([one[row, 1:] for one in recordings])
        temporal.append(information(before, after))
        for _ in range(REPEATS):
            information(before, random.permutation(after))
    return {"pairs": pairs, "temporal": temporal}


def ngrams(learned: list[list[int]], held_out: list[list[int]], size: int) -> list[float]:
    """Return bits per held-out code of interpolated absolute discounting."""
    chances, bits = [1 / size] * sum(map(len, held_out)), []
    for n in range(1, ORDER + 1):
        grams: Counter[tuple[int, ...]] = Counter()
        for row in learned:
            padded = [-1] * (n - 1) + row
            grams.update(tuple(padded[t - n + 1 : t + 1]) for t in range(n - 1, len(padded)))
        kinds, totals = Counter(gram[:-1] for gram in grams), Counter[tuple[int, ...]]()
        for gram, times in grams.items():
            totals[gram[:-1]] += times
        often = Counter(grams.values())
        discount = min(0.99, max(0.1, often[1] / max(1, often[1] + 2 * often[2])))
        place = 0
        for row in held_out:
            padded = [-1] * (n - 1) + row
            for t in range(n - 1, len(padded)):
                gram = tuple(padded[t - n + 1 : t + 1])
                if seen := totals[gram[:-1]]:
                    believed = max(0.0, grams[gram] - discount)
                    chances[place] = (believed + discount * kinds[gram[:-1]] * chances[place]) / seen
                place += 1
        bits.append(-float(np.mean(np.log2(chances))))
    return bits


def table(codes: Array, labels: Array, groups: Array, random: np.random.Generator) -> dict[str, float]:
    """Return what codes say about labels, with a floor, and its value and error from groups that are left out."""
    counts = contingency_matrix(labels, codes, sparse=True)
    total = counts.sum()
    plain = BITS * mutual_info_score(None, None, contingency=counts)
    known = entropy(np.asarray(counts.sum(axis=1)).ravel())
    whole, error = left_out(codes, labels, groups)
    halves, quarters, again = [], [], np.random.default_rng(0)
    for _ in range(SPLITS):
        order = again.permutation(GROUPS)
        for found, parts in ((halves, 2), (quarters, 4)):
            for part in np.array_split(order, parts):
                inside = np.isin(groups, part)
                found.append(left_out(codes[inside], labels[inside], groups[inside])[0])
    higher = float(np.mean(halves)) - whole
    power = float(np.clip((np.mean(quarters) - np.mean(halves)) / higher, 2, 4)) - 1
    return {
        "pnmi": plain / known,
        "corrected": information(codes, labels),
        "floor": float(np.mean([information(codes, random.permutation(labels)) for _ in range(REPEATS)])),
        "phone purity": float(counts.max(axis=0).sum() / total),
        "cluster purity": float(counts.max(axis=1).sum() / total),
        "value": max(0.0, whole - higher / power),
        "correction": higher / power,
        "error": math.hypot(error, higher / power / 3),
    }


def left_out(codes: Array, labels: Array, groups: Array) -> tuple[float, float]:
    """Return information without its first bias and its standard error, each group left out in turn."""
    names, whole = np.unique(groups), information(codes, labels)
    value, pseudo, times = len(names) * whole, [], []
    for group in names:
        left = groups != group
        without = information(codes[left], labels[left])
        times.append(groups.size / (groups.size - left.sum()))
        value -= (1 - 1 / times[-1]) * without
        pseudo.append(times[-1] * whole - (times[-1] - 1) * without)
    spread = (np.array(pseudo) - value) ** 2 / (np.array(times) - 1)
    return float(value), math.sqrt(spread.mean())
