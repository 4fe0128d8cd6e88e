"""The demo, from drawn scenes to a scored network."""
