"""The risk of liquidations of a whole venue, followed in event time.

- ``holdings``: all positions, the accounts behind them, and the venue's terms for each symbol;
- ``flow_history``, ``withdrawals``, ``forced_flow``: what a symbol's flow and depth teach about the
  impact of a sale;
- ``assessment``: how near each side of a symbol is to a run of liquidations, now;
- ``records``, ``report``: what is published of it;
- ``cascade``: the detector that warns of it;
- ``co_movement``, ``spread``, ``contagion``: how liquidations would spread from symbol to symbol,
  and the detector that warns of it;
- ``what_if``: what a scenario would do;
- ``monitor``: takes the events, and closes once a second of event time.

The arithmetic is that of `detectors.risk`.
"""
