"""Scores of label maps and tags against the ground truth."""
