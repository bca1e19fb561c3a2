"""Probes: small fixed models on frozen tokens that score a tokenizer on a task, and say how sure they are."""
