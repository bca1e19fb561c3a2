"""Families of published tokenizers."""
