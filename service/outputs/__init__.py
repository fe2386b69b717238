"""Where results go: Kafka topics and Alertmanager.

May import ``pipeline`` and ``settings``. Alerts, signals, dead letters and snapshots enter;
acknowledged records and HTTP requests leave.
"""
