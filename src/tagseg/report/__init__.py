"""Pictures of the steps of the method, and training curves."""
