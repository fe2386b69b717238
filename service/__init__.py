"""The shell: Kafka, HTTP, settings and the command line around the deterministic core."""

from importlib.metadata import version

__version__ = version("foreshock")
