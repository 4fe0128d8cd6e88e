"""Data: one dataset type for every source, robust image reading, two random views, the training loader."""
