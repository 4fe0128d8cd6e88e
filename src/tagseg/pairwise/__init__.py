"""Pairwise: the Gaussian filter over position and colour and the dense energy that stands on it (METHOD §7)."""
