"""How good the detection is: labelled markets through the real path, counted and compared."""
