"""Music genre: of what kind a piece is, in recordings of other sources (column `source`) than were learnt from."""

from tokaudio.probes.tasks.classification import Classification

TASK = Classification("genre", "music genre", "sound", column="genre", apart="source", head="ecapa")
