"""Emotion recognition: how something is said, by speakers that were not heard before.

No emotional speech ships; a manifest or a corpus with a column `emotion` is needed.
"""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("er", "emotion recognition", "paralinguistic", column="emotion", head="ecapa")
