"""Shared by the console and the report: how incidents, series and values are shown to people.

Uses ``detectors`` and ``pipeline``. Input: alerts and numbers. Output: rows, phrases and
static assets.
"""
