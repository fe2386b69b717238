"""The settings: their types, and how they are read, checked, reloaded and turned into components.

Uses ``pipeline``. Input: a TOML file and ``FORESHOCK_…`` variables. Output: one ``Settings``
value, and the components that it configures.
"""
