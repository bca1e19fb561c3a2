"""Making tokenizers: audio pools, losses, a resumable loop, and the recipes of the shipped weights."""
