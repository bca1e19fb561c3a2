"""What the model card of `mini-semantic` says beyond its spec: data, training, measured quality, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.data_card import data_section

DESIGN = """## What it is

A convolutional network of 2.9 M parameters hears log-mel spectra and was taught to predict hidden states of the encoder
of Whisper tiny.en (MIT): layer 3, whose clusters know most about phones, and layer 1, which is closer to the sound.
Then it was told phones for a while: linear heads on its content named the phone of each frame (cross-entropy beside the
distillation), and linear discriminant analysis (Fisher 1936) kept the 50 directions in which phones differ most. So its
units are phone-supervised, and not found by listening alone. Codebook 0 has the k-means clusters of the content so
mapped, codebook 1 those of layer 1. A code depends on 0.44 s to each side and on nothing else, so that pieces and
streams give the codes of the whole. The vocoder of 2.8 M parameters began as the decoder of mini-codec and was trained
on these codes."""

HISTORY = """The weights grew over two versions: the phones were told before the recipe had a stage for it, on all
training sentences of festvox-ru and about half of the clips of the voices, and the vocoder went on from that of the
first version. The recipe repeated gives weights like these, not the same."""

LIMITS = """## Limits

The phones that it was told are those of the labels of festvox-ru (one Russian speaker, other sentences than the
held-out ones), and those that the recogniser of `hama` (Apache-2.0) hears in synthetic English voices. The phones
of the held-out voices come from hama too: there, the figures say in part how well its habits were learned. What the
units know about other languages and about real voices was not measured.

Speech only, 16 kHz, mono; three real speakers (Russian and Italian), synthetic English, no music, no noise and no
overlapping speech. The codes are made to carry what is said, not who says it: what the vocoder makes of them sounds
synthetic, and words get lost. Take mini-codec where the sound matters. Credits are in the package's
`assets/NOTICE.md`."""


def about_mini_semantic(pool: AudioPool, steps: Mapping[str, int], results: Mapping[str, Any] | None) -> str:
    """Return the card's sections in Markdown.

    Args:
        pool: what was trained on.
        steps: optimizer steps of student, supervision (`phones`), vocoder, and of the vocoder against discriminators
            (`adversary`), where it had any.
        results: PNMI by set and system, as `benchmarks/semantic_quality.py --json` writes them, and under `words` what
            `benchmarks/semantic_vocoder.py --json` adds.
    """
    told = f"{steps['phones']} steps in which it was told phones"
    taken = f"{steps['student']} steps of the student, {told}, and {steps['vocoder']} of the vocoder"
    sharpened = "then {adversary} of the vocoder against discriminators (recipe `mini_semantic_adversary`)"
    rest = sharpened.format(**steps) if "adversary" in steps else "without an adversarial stage"
    lines = [DESIGN, "", *data_section(pool), f"{taken}, on random crops, {rest}.", HISTORY, ""]
    return "\n".join([*lines, *(_quality(results) if results else []), LIMITS])


def _quality(results: Mapping[str, Any]) -> list[str]:
    """Return the table of what units know about phones."""
    lines = [
        "## Quality",
        "",
        "Phone-normalised mutual information (arXiv:2106.07447, section III-B): the share of what there is to know",
        "about the phone of a frame that its unit tells. Mini-semantic was told phones in training; of the others,",
        "only what is marked so was, by the same labels. All units were fitted to the training speech, the baselines",
        "to one in seven of its clips. The layer of the teacher was chosen after looking at these two sets.",
        "",
        "| speech | units | PNMI | phone purity |",
        "|---|---|---:|---:|",
    ]
    for name, systems in results.items():
        if name != "words":
            for system, row in systems.items():
                lines.append(f"| {name} | {system} | {row['pnmi']:.3f} | {row['phone_purity']:.3f} |")
    return [*lines, "", *(_words(results["words"]) if "words" in results else [])]


def _words(words: Mapping[str, Any]) -> list[str]:
    """Return the table of words that are lost."""
    lines = [
        "Words that Whisper tiny.en misreads. Neither set took part in training, but other voices read the texts of",
        "the held-out voices there.",
        "",
        "| set | speech | words misread |",
        "|---|---|---:|",
    ]
    for name, systems in words.items():
        lines += [f"| {name} | {system} | {100 * rate:.1f} % |" for system, rate in systems.items()]
    return [*lines, ""]
