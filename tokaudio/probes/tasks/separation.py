"""Separation: the tokens of each of two speakers from those of both at once; none of the two was heard before."""

from tokaudio.probes.tasks.unmixing import Unmixing

TASK = Unmixing(
    "separation",
    "separation of speakers",
    ("source_1", "source_2"),
    "a column speaker, and source_1 and source_2 for mixtures",
)
