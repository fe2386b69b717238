"""The service around the core: Kafka, HTTP, settings, and the command line.

At the top: ``run`` (the process: sessions on Kafka one after the other, HTTP, a clean end) and
small modules that every room may use. Each room's docstring names the rooms that it uses. The
layers contracts in ``pyproject.toml`` say which room may use which, and ``make contracts`` enforces
them. Uses ``detectors``, never the other way round.
"""

from importlib.metadata import version

__version__ = version("foreshock")
