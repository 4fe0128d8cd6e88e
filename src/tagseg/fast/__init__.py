"""The functions of ``fsr`` and ``pairwise`` again, faster. Each file names the plain function it equals."""
