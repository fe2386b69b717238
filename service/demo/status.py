"""The service's current status, for the page and the plain lines."""

from msgspec import Struct


class Status(Struct, frozen=True):
    """Figures of one moment: the phase, record counts, and addresses.

    ``rate`` is in events per second of wall-clock time, ``lag`` in unread records.
    """

    phase: str
    read: int
    rate: float
    lag: int
    late: int
    bootstrap_servers: str
    console_url: str
    log: str
