"""Pseudo: class activation maps, certain and uncertain regions, masking, refinement, pseudo-labels (METHOD §2-4, 6)."""
