"""Building blocks of the networks; they know tensors and nothing about tokenizers."""
