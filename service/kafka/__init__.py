"""The Kafka session: assign, restore, poll, feed the pipeline, publish, save, commit, hand back.

Uses ``outputs``, ``settings`` and ``pipeline``. Input: records of the input topics. Output:
results of the pipeline, sent through ``outputs``, and offsets, committed to the group.
"""
