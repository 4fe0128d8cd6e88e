"""Masks of tagged photos from their tags, as a dataset for any trainer that wants masks."""
