"""Recordings that probes are measured on: reading, parting, keeping what was computed of them."""
