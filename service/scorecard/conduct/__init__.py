"""The scorecard of the venue's conduct: what its detectors find where a venue misbehaves."""
