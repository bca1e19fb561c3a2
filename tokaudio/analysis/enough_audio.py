"""Whether there was enough audio to say what codes mean, and how much would do.

audio_warning(report.associations, report.facts, sizes)  # one sentence or two; None where there was enough

Where nearly every frame has a pair of code and label of its own, chance gives most of what there is to know, and no
correction can tell what is left of it. Of codes that say nothing, x frames for each, chance gives about 1 / (1 + x / c)
of what there is to know about 16 labels, c being 2 to 4: so a floor tells how much more audio it takes until it is low
enough. Ten frames for each code of the whole codebook do in any case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tokaudio.analysis.frames.associations import MOST_FLOOR, Association
from tokaudio.analysis.frames.observing import LASTING

# The law above holds within about a half.
_MARGIN = 1.5
# A floor near 1 says no more than that frames are far too few.
_HIGHEST_FLOOR = 0.99
_FRAMES_PER_CODE = 10
_SHORT = 60.0


def frames_needed(floor: float, frames: int, size: int) -> float:
    """Return about how many frames it takes for a floor to be low enough for a score.

    Args:
        floor: share of what there is to know that chance gives.
        frames: that it was found from.
        size: V, codes of the codebook.

    Example:
        >>> frames_needed(0.2, 5000, 1024), round(frames_needed(0.5, 2000, 1024)), frames_needed(0.95, 200, 1024)
        (5000, 7000, 10240)
    """
    if floor <= MOST_FLOOR:
        return frames
    chance = min(floor, _HIGHEST_FLOOR)
    by_floor = _MARGIN * frames * (chance / (1 - chance)) * ((1 - MOST_FLOOR) / MOST_FLOOR)
    return min(by_floor, max(_FRAMES_PER_CODE * size, 2 * frames))


def audio_warning(found: Sequence[Association], facts: Mapping[str, int | float], sizes: Sequence[int]) -> str | None:
    """Return what too little audio leaves unknown, and how much would do; None if there was enough.

    Labels of whole recordings need other recordings, not longer ones, and words need hours; where only these are
    unknown, no amount is given.

    Args:
        found: what codebooks say about attributes.
        facts: of the report, of which `seconds` is read.
        sizes: V of each codebook.

    Example:
        >>> import numpy as np
        >>> from tokaudio.analysis.frames.associations import associations
        >>> from tokaudio.analysis.frames.sampling import FrameSample
        >>> sample, random = FrameSample(), np.random.default_rng(0)
        >>> sample.add(random.integers(0, 1024, (1, 200)), {"energy": random.normal(size=200)})
        >>> print(audio_warning(associations(sample.finish()), {"seconds": 4.0}, [1024]))
        Too little audio: 4 seconds are not enough to say what these codes mean. About 4 minutes would do.
    """
    unknown = [one for one in found if not one.enough]
    if not unknown:
        return None
    heard = [one for one in unknown if one.attribute not in LASTING and one.attribute != "word"]
    # Not every frame has a pitch, or all codebooks.
    times = [
        frames_needed(one.floor, one.information.frames, sizes[one.codebook]) / one.information.frames for one in heard
    ]
    needed = max(times, default=0.0) * facts["seconds"]
    amount = f" About {_duration(needed)} would do." if needed else ""
    if len(unknown) == len(found):
        return f"Too little audio: {_duration(facts['seconds'])} are not enough to say what these codes mean.{amount}"
    names = ", ".join(dict.fromkeys(one.attribute for one in unknown))
    return (
        f"Too little audio: {_duration(facts['seconds'])} are not enough for {len(unknown)} of {len(found)} scores "
        f"({names}), which are left out.{amount}"
    )


def _duration(seconds: float) -> str:
    """Return a duration in words, of one or two figures."""
    if seconds < _SHORT:
        return f"{seconds:.2g} seconds"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} minutes" if minutes > 1 else "1 minute"
    return f"{math.ceil(minutes / 60)} hours"
