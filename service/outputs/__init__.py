"""The destinations of the results: Kafka topics and Alertmanager.

Uses ``pipeline`` and ``settings``. Input: alerts, signals, dead letters and snapshots.
Output: acknowledged records and HTTP requests.
"""
