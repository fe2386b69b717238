"""From bytes to alerts without I/O: decode, align in event time, and watch one partition.

Replay and the Kafka session share this package. It uses ``detectors``; it knows no settings
and awaits nothing. Input: raw records. Output: alerts, signals, snapshots and dead letters.
"""
