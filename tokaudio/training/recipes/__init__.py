"""Recipes that make the shipped weights from public data, from download to exported checkpoint."""
