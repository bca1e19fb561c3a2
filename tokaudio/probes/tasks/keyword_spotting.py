"""Keyword spotting: which word of a small set is said, by speakers that were not heard before."""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("ks", "keyword spotting", "content", column="keyword")
