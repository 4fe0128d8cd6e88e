"""Networks for other runtimes, with a parity check and a model card."""
