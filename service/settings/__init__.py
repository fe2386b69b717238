"""The settings: their types, how they are read, checked, reloaded and turned into parts.

May import ``pipeline``. A TOML file and ``FORESHOCK_…`` variables enter; one ``Settings`` value and
the parts that it configures leave.
"""
