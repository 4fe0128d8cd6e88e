"""What is not in the paper: a boundary prior, pseudo-labels made offline, a linear probe, sharper teacher targets."""
