"""Which layers of a speech model to cluster."""
