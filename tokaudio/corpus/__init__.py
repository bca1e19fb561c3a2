"""Corpora of any size: a manifest or a folder of sound to shards of tokens, whatever happens on the way.

- `inputs`, `plan`: what is to be encoded, and which input lies in which shard.
- `job`, `journal`: what is done; a folder is gone on with only under the options that it was begun with.
- `tokenize_batch`: `TokenizeBatch`, arrays in, arrays out, for any engine.
- `reading`, `shards`, `worker`: sound decoded ahead of the model, shards written whole or not at all.
- `engines`: processes of this machine (`local`), and engines of others.
- `verify`, `statistics`: what a finished folder holds, and whether every bit of it is as it was written.

The same inputs and options give the same bytes, whatever the number of processes, their order, and their deaths.
"""
