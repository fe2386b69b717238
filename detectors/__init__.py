"""The core: pure and deterministic. The same events give the same alerts.

The top level has one file per detector, the interface of a detector (``detector``), the scorer that
runs one detector on one symbol (``scorer``), and the monitor that runs all detectors on one symbol
(``symbol``, with the hot path in ``open_bar`` and the snapshot in ``state``). The subpackages are
``market_data``, ``judging``, ``incidents``, ``feed``, ``venue``, ``risk`` and ``kill_switch``.

This package does no I/O, reads no clock, awaits nothing, draws no unseeded random numbers and does
not import ``service``. Its inputs are events. Its outputs are alerts, signals and kill switches.
"""
