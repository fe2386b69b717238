"""The demo: an embedded broker, a simulated exchange, and the real service on a terminal page.

May import everything but ``cli``. Options enter; the page and a conclusion leave.
"""
