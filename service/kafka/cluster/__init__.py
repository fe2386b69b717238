"""The Kafka cluster: how to connect to it, its topics, and the permissions of this user.

Uses ``settings``. Input: settings. Output: client options, problems with the topics, and
topics that were created.
"""
