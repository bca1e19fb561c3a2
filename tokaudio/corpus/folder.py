"""What lies in the folder of a job.

OUT/part-00000.parquet ...     the shards
OUT/tokaudio.json              what holds for all rows, and their number
OUT/_SUCCESS                   the marker: counts, and the SHA-256 of everything else
OUT/.tokaudio/plan.jsonl       which input lies in which shard
OUT/.tokaudio/job.json         tokenizer, options, and their fingerprint
OUT/.tokaudio/journal.jsonl    one line per shard that is done
OUT/.tokaudio/failed.jsonl     inputs that could not be encoded, a manifest of its own
OUT/.tokaudio/lock             empty, held byte by byte
"""

META, MARKER = ".tokaudio", "_SUCCESS"
