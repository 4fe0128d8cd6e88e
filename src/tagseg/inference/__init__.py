"""Inference: prediction on photos without tags, scores, and the files that both write (METHOD §9)."""
