"""From alarms to incidents: open, escalate, resolve; across symbols; suppressed; the kill switch.

May import ``judging``, ``market_data`` and the readings of ``scorer``. Readings of closed bars
enter; alerts and kill switches leave, each with an id that follows from what triggered it.
"""
