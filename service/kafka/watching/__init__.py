"""What is watched while the Kafka session runs: progress, placement of symbols, memory limits.

Uses ``partition`` and ``pipeline``. Input: the owned partitions and the ends of their logs. Output:
log lines, and the conditions that ``/readyz`` and the metrics show.
"""
