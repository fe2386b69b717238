"""From bytes to alerts without I/O: decode, align in event time, and watch one partition.

Replay and the Kafka session share it. May import ``detectors``; knows no settings and awaits
nothing. Raw records enter; alerts, signals, snapshots and dead letters leave.
"""
