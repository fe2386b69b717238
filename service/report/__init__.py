"""A replay as one page for people: what happened, when, and what was made of it."""
