"""Frozen mode: features computed once, labels and a decoder fitted to them in minutes. Not in the paper."""
