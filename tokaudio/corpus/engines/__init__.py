"""Who runs the workers of a corpus job: one module per engine."""
