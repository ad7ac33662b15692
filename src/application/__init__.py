"""Use cases: one callable class each, that owns its transaction and nothing else."""
