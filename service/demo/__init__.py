"""A simulated exchange and an embedded broker, to see Foreshock at work and to measure it."""
