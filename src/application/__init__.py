"""Use cases: one callable class each, which owns its transaction and nothing else."""
