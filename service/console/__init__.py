"""The console: a web page that shows stress, incidents and the health of the service, live.

Uses ``presentation``, ``web``, ``settings`` and ``pipeline``. Input: the live state of the
process. Output: a page and a stream of its changes.
"""
