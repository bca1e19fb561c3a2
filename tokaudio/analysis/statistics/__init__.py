"""Counts and what follows from them: information with its bias and interval, and shares of variance."""
