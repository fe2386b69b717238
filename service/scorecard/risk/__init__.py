"""What the risk of positions warns of, and how well it predicts: measured on simulated markets."""
