"""Prediction on photos without tags, evaluation, and the files of both (section 9 of docs/method.md)."""
