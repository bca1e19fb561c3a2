"""English sentences for training, spoken by `hibari-tts` (Apache-2.0): one synthetic voice, many words.

Sentences are put together from short lists, written for this recipe, so that every sound of English comes in many
neighbourhoods; what they mean does not matter. Needs the package `hibari-tts`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

SOURCE = "hibari"
_WHO = """the old judge; my youngest cousin; a thoughtful pilot; every shepherd; the village choir; our noisy neighbour;
the chief engineer; a curious fox; nobody here; the yellow parrot; her patient teacher; that generous butcher;
two tired joggers; the queen's physician; a quiet stranger; both brothers; the orchestra; his clever niece;
a large brown bear; the treasurer; some fishermen; the museum guard; an honest merchant; the first explorers"""
_DID = """measured; put away; carefully joined; finally noticed; washed; quickly sold; could not lift; chose;
threw away; borrowed; wanted to paint; described; never trusted; pulled up; heard about; would rather keep; lost;
gave back; wrapped; exchanged; hid; should have checked; forgot; began to polish; enjoyed;
explained; pushed over; judged"""
_WHAT = """a heavy wooden chair; five sharp knives; the azure vase; a bag of oranges; three thick books;
the broken clock; some fresh bread and cheese; an unusual treasure; the long rope; a bowl of soup;
her red leather gloves;
the entire garden; an early photograph; a jar of ginger; the small engine; a bunch of violets; the house key;
a pair of shoes; his favourite song; the shiny copper coin; a thousand pages; the worn path; a cup of hot tea;
the northern border; a wool jumper; the hotel register; an empty envelope; pieces of blue chalk"""
_WHERE = """under the bridge; before sunrise; near the harbour; on the third of July; behind the church;
without a word; in the kitchen; after the storm; at the edge of the forest; for the sake of peace; last Thursday;
on a cold winter morning; with both hands; during the voyage; around noon; across the valley; by the fireside;
in front of the theatre; as usual; through the open window; beyond the hill; all the same; out of pure joy"""
_MORE = """and then it rained.; but no one laughed.; which surprised us all.; because the roof was leaking.; I think.;
so we turned around.; while the others watched.; if you ask me.; as far as we know.; though it hardly mattered."""


def sentences(count: int, *, seed: int = 0) -> list[str]:
    """Return different sentences, in an order that the seed decides.

    Example:
        >>> len(set(sentences(100)))
        100
    """
    draw = random.Random(seed)  # noqa: S311
    slots = [[part.strip().replace("\n", " ") for part in text.split(";")] for text in (_WHO, _DID, _WHAT, _WHERE)]
    more = [part.strip() for part in _MORE.split(";")]
    found: dict[str, None] = {}
    while len(found) < count:
        text = " ".join(draw.choice(slot) for slot in slots)
        tail = f", {draw.choice(more)}" if draw.random() < 1 / 3 else draw.choice(".....!?")
        found[text[0].upper() + text[1:] + tail] = None
    return list(found)


def hibari_clips(count: int, *, seed: int = 0) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield `(id, source, samples)` of spoken sentences, 16 kHz, at speeds from 0.8 to 1.25.

    Args:
        count: how many; one lasts about 3.5 s.
        seed: of sentences and speeds.
    """
    import soxr
    from hibari import Hibari  # type: ignore[import-untyped, import-not-found, unused-ignore]

    voice, draw = Hibari(), random.Random(seed + 1)  # noqa: S311
    for number, text in enumerate(sentences(count, seed=seed)):
        sound = voice(text, speed=0.8 * (1.25 / 0.8) ** draw.random(), seed=number)
        yield f"{SOURCE}-{number:04d}", SOURCE, np.asarray(soxr.resample(sound, 24_000, 16_000, quality="HQ"))
