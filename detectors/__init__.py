"""The core: pure and deterministic. The same events in, the same alerts out.

At the top: one detector a file, the contract they keep (``detector``), what runs one on a symbol
(``scorer``), and one symbol with all of them (``symbol``, its hot path ``open_bar``, its snapshot
``state``). The rooms: ``market_data``, ``judging``, ``incidents`` and ``feed``. Nothing here does
I/O, reads a clock, awaits, or draws unseeded random numbers, and nothing imports ``service``.
Events enter; alerts, signals and kill switches leave.
"""
