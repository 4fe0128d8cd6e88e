"""Which photos to correct first, and how good masks are where there are no masks to score them with."""
