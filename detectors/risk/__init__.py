"""Liquidation risk: what a move of the mark price forces out of its positions, and what follows.

The package computes, for one venue and from its true positions:

- ``tiers``, ``contract``: the maintenance margin of a notional; linear and inverse contracts;
- ``names``, ``positions``: all positions of the venue as columns, a row a position;
- ``liquidation``, ``ends``, ``joint``: liquidation and bankruptcy prices, isolated and cross, and
  their optimistic and conservative ends; the common move that liquidates a cross account;
- ``venue_margins``: what backs each position, and the ladders of a symbol at both ends;
- ``reduction``, ``ramps``: how much of a position a venue closes;
- ``ladder``, ``shares``, ``forced``: who is liquidated at which move, and what is closed by then;
- ``marks``, ``band``: how a mark price follows, and the price range and time of a cluster;
- ``log_normal``, ``survival``, ``refill``: what is learned of a factor; surviving and returning
  depth;
- ``impact``, ``flow_impact``, ``book_impact``, ``root_impact``: what a forced sale does to the
  price: from flow, from the quoted book, by the square root;
- ``runs``: where a shock's chain of liquidations ends, and how near the least shock is that forces
  a given notional;
- ``reproduction``: the rounds of a run, and the reproduction number of a stated seed;
- ``outcome``, ``expressed``: money, accounts and loss beyond collateral and insurance fund; a
  distance in standard deviations and as an ordinary sale;
- ``margin_units``, ``closing``: what is liquidated together, across symbols, and how much of it;
- ``contagion``: how liquidations spread from symbol to symbol;
- ``what_if``: what a shock would do under present and under other rules of the venue;
- ``draws``, ``drawn_runs``, ``quantiles``, ``coarse``: all that with impacts drawn from what is
  known, its 10, 50 and 90 % quantiles, and the same with fewer points.

Units: prices in the quote currency; moves and rates as ratios (0.01 is 1 %); durations in seconds.
A move is positive against the side it hits: a fall for longs, a rise for shorts.

The package is arithmetic. It reads no events and raises no alerts: it imports nothing of
``judging``, ``incidents`` and ``market_data``. Draws take a seed. Nothing of the service calls it
yet.
"""
