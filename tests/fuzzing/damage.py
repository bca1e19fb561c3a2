"""Ways in which files are damaged, each chosen by a seeded generator: what all fuzzing here is made of."""

from __future__ import annotations

import random

KINDS = ("cut", "flip", "header", "zeros", "splice", "empty")
_HEADER = 128


def damaged(content: bytes, other: bytes, kind: str, chance: random.Random) -> bytes:
    """Return a damaged copy of a file.

    Args:
        content: of the file.
        other: another file, of which a piece is put in where `kind` is `splice`.
        kind: `cut` ends it early; `flip` turns 1 to 8 bits over; `header` writes 1 to 4 bytes anew near its beginning;
            `zeros` writes zeros over a piece; `splice` replaces a piece; `empty` leaves nothing, or a few bytes.
        chance: decides.
    """
    made = bytearray(content)
    if kind == "cut":
        del made[chance.randrange(len(made)) :]
    elif kind == "flip":
        for _ in range(chance.randint(1, 8)):
            made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
    elif kind == "header":
        for _ in range(chance.randint(1, 4)):
            made[chance.randrange(min(_HEADER, len(made)))] = chance.choice(
                (0, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
    elif kind == "zeros":
        start = chance.randrange(len(made))
        stop = min(len(made), start + chance.randint(1, len(made)))
        made[start:stop] = bytes(stop - start)
    elif kind == "splice":
        start, length = chance.randrange(len(made)), chance.randint(0, len(made) // 2)
        source = chance.randrange(len(other))
        made[start : start + length] = other[source : source + chance.randint(0, len(other) // 2)]
    else:
        del made[chance.choice((0, 1, 4, 44)) :]
    return bytes(made)
