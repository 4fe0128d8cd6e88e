"""Procedural scenes with tags and masks, drawn by the package: the demo's data."""
