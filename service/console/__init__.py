"""The console: a web page that shows stress, incidents and the health of the service, live.

May import ``presentation``, ``web`` and ``settings``. Input: the live state of the process. Output:
a page and a stream of its changes.
"""
