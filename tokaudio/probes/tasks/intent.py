"""Intent: what a request is about, by speakers that were not heard before."""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("ic", "intent", "content", column="intent")
