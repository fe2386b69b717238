"""The core: pure and deterministic. The same events in, the same alerts out."""
