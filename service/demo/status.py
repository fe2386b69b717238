"""How the service stands, for the page and for the plain lines."""

from msgspec import Struct


class Status(Struct, frozen=True):
    """Figures of one moment: what is going on in words, records, and where to look.

    ``rate`` is in events a second by the clock, ``lag`` in records not yet read.
    """

    phase: str
    read: int
    rate: float
    lag: int
    late: int
    bootstrap_servers: str
    console_url: str
    log: str
