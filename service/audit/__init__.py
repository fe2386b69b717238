"""The audit of a recorded venue: reads files and claims, writes findings.

Uses ``detectors.audit`` and ``replay``. Input: a directory of streams and a claims file. Output:
findings as text, JSON, JUnit and HTML.
"""
