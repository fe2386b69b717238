"""What the console and reports share: how bars, incidents and values are shown to people."""
