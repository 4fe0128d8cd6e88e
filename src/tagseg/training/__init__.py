"""Training: a Lightning module of hooks around a ``Method``, the trainer, callbacks, validation."""
