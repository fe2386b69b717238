"""The HTTP server: probes, authentication, and the Prometheus metrics.

May import ``kafka``, ``outputs``, ``settings`` and ``pipeline``, whose live state it reads when it
is asked. Requests enter; metric pages and probe results leave.
"""
