"""The Kafka cluster itself: how to connect to it, its topics, and what this user may do there.

May import ``settings``. Settings enter; client options, problems with the topics, and topics that
were created leave.
"""
