"""Prediction and labelling of millions of photos through Ray Data, on one machine or a cluster (docs/scale.md)."""
