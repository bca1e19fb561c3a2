"""Quantizers: interchangeable by name inside any trainable tokenizer."""
