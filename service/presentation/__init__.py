"""What the console and the report share: how incidents, series and values are shown to people.

May import ``detectors`` and ``pipeline``. Alerts and numbers enter; rows, phrases and static assets
leave.
"""
