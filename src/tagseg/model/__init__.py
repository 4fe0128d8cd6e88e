"""Encoder families, encoder, heads, network, teacher and weight files (section 1 of docs/method.md)."""
