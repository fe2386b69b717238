"""``foreshock whatif``: what a shock would do to a recorded venue."""
