"""Sound events: what can be heard, in recordings of other sources (column `source`) than were learnt from."""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("events", "sound events", "sound", column="event", apart="source", head="ecapa")
