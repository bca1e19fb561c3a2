"""Enhancement: the tokens of clean speech from those of noisy speech, by speakers and in noise that were not heard."""

from tokaudio.probes.tasks.unmixing import Unmixing

TASK = Unmixing("enhancement", "speech enhancement", ("clean",), "a column speaker, and clean for noisy recordings")
