"""What a shock would do to a venue, under its present rules and under others.

- ``scenario``: the shocks and what would be different;
- ``chain``: who is liquidated from generation to generation, across symbols;
- ``compare``: both, before and after.
"""
