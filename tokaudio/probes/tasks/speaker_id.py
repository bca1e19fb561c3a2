"""Speaker identification: which of the known speakers says words that were not heard before."""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("sid", "speaker identification", "speaker", column="speaker", apart="text")
