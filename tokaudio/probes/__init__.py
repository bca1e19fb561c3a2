"""Probes: small fixed models on frozen tokens that score a tokenizer on a task, and say how sure they are."""

PROBE_VERSION = "2"
"""Of heads, features, budgets and splits together: scores of different versions are never compared."""
