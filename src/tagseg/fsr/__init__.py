"""The method as published, plain and whole, a file for each step of the paper; docs/method.md is its page."""
