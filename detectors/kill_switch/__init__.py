"""The kill switch of a symbol: a state machine that says how freely an order gateway may trade.

- ``table``: the states, and the table of every transition;
- ``conditions``: what the switch is told, and the state that this calls for;
- ``machine``: the rules of time: cooling, dwell, the guard against flapping, and operators;
- ``switch``: the switch of one symbol, its records, and the chain of their hashes.

Times are nanoseconds of event time. The package uses no other part of the core: whoever sees
incidents, ladders and venues states their ``Conditions``.
"""
