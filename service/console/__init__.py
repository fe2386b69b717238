"""The console: a web page that shows stress, incidents and the health of the service, live.

May import ``presentation``, ``web`` and ``settings``. The live state of the process enters; a page
and a stream of its changes leave.
"""
