"""How liquidations spread from symbol to symbol.

- ``stress_beta``, ``convergence``: how far one symbol follows another in stress, and whether that
  is more than fat tails make;
- ``lead_lag``: which of two symbols moves first, and by how much;
- ``triggered``: which positions a move of one symbol forces out in every other, by channel;
- ``components``, ``radius``: the spectral radius of the reproduction matrix, and its vectors;
- ``importance``: who infects, who is infected, which edges matter, what a seed forces in all;
- ``growth``: how fast it grows once it does, and the doubling time;
- ``path``: the way from a seed;
- ``drawn_radius``: the same with drawn impacts.

A *node* is a symbol and a side: number 2 s for the longs and 2 s + 1 for the shorts of the symbol
number s. A *reproduction matrix* K has a row for each node whose positions are liquidated and a
column for each node whose positions that forces out: K[a, b] is the notional newly forced in b per
unit of notional liquidated in a. The rows of every matrix are the sources, its columns the targets.
"""
