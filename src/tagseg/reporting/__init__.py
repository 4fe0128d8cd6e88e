"""Pictures of each step, curves, and the report of a run."""
