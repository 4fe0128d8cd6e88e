"""A local page: try a network, correct tags and masks, train again."""
