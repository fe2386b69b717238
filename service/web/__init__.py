"""The HTTP server: probes, authentication and the Prometheus metrics.

Uses ``kafka``, ``outputs``, ``settings`` and ``pipeline``; it reads their live state for each
request. Input: requests. Output: metric pages and probe results.
"""
