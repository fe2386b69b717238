"""The demo: an embedded broker, a simulated exchange, and the real service on a terminal page.

Uses everything but ``cli``. Input: options. Output: the page and a summary.
"""
