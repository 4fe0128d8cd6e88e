"""The Gaussian filter over position and colour, exact or on a lattice, and the dense CRF, in plain form."""
