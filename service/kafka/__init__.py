"""The Kafka session: assign, restore, poll, feed the pipeline, publish, save, commit, hand back.

May import ``outputs``, ``settings`` and ``pipeline``. Records of the input topics enter; what the
pipeline makes of them goes to ``outputs``, and committed offsets go to the group.
"""
