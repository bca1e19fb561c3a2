"""Language identification: which language is spoken, by speakers that were not heard before."""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("lid", "language identification", "content", column="language")
