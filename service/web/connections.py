"""The connections of the HTTP server, bounded in number and in the time that a request may take.

A connection that sends no request holds a file descriptor, and Kafka needs descriptors too. So a
connection has a time limit for the head of a request, the TLS handshake included. The number of
connections has a limit as well. A new connection above it takes the place of the oldest connection
without a request, so a probe is answered whatever else is open.
"""

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable
from functools import partial

MAX_CONNECTIONS = 256
"""The most connections at a time."""

HEAD_SECONDS = 10.0
"""The time limit of the head of a request, in seconds."""

_BACKLOG = 128
_PAUSE_SECONDS = 0.1


def max_connections() -> int:
    """Return the most connections: at most a quarter of the file descriptors of the process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft < 0 else max(8, min(MAX_CONNECTIONS, soft // 4))


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of a host.

    Raises OSError if there is none, or if one of them cannot be listened on.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listening: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                made = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
                continue
            made.setblocking(False)
            listening.append(made)
    except BaseException:
        for made in listening:
            made.close()
        raise
    if not listening and missing is not None:
        raise missing
    return listening


class _Connection(asyncio.Protocol):
    """One connection: passes everything on to the protocol that answers."""

    def __init__(self, connections: "Connections", answering: asyncio.Protocol) -> None:
        self.busy = False
        self.opening: asyncio.Task[None] | None = None
        self._connections = connections
        self._answering = answering
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.await_head()

    def await_head(self) -> None:
        """Start the time limit of a head, unless it runs."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._connections.head_seconds, self.abort)

    def head_complete(self) -> None:
        """Stop the time limit."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """Close the connection at once."""
        self.head_complete()
        if self._transport is not None:
            self._transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.by_transport[transport] = self
        self._answering.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            self.await_head()
        self._answering.data_received(data)

    def eof_received(self) -> bool | None:
        return self._answering.eof_received()

    def pause_writing(self) -> None:
        self._answering.pause_writing()

    def resume_writing(self) -> None:
        self._answering.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self.head_complete()
        if self._transport is not None:
            self._connections.by_transport.pop(self._transport, None)
        self._connections.drop(self)
        self._answering.connection_lost(error)


class Connections:
    """Accepts connections, and closes those above the limits.

    Parameters
    ----------
    answering
        Makes the protocol that answers a connection.
    tls
        The context of TLS; None for plain HTTP.
    most
        The most connections at a time.
    head_seconds
        The time limit of the head of a request, in seconds.
    """

    def __init__(
        self,
        answering: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        *,
        most: int,
        head_seconds: float,
    ) -> None:
        self.head_seconds = head_seconds
        self.by_transport: dict[asyncio.BaseTransport, _Connection] = {}
        self._answering = answering
        self._tls = tls
        self._most = most
        # In the order in which they were accepted.
        self._open: dict[_Connection, None] = {}
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []

    def start(self, listening: list[socket.socket]) -> None:
        """Accept connections on these sockets until ``stop``."""
        self._listening = listening
        self._accepting = [asyncio.create_task(self._accept(its)) for its in listening]

    async def stop(self) -> None:
        """Accept no more connections, and close the sockets that listen."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        for connection in [its for its in self._open if not its.busy]:
            connection.abort()

    def begin(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that the head of a request has been read."""
        self._note(transport, busy=True)

    def end(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request has been answered."""
        self._note(transport, busy=False)

    def _note(self, transport: asyncio.BaseTransport | None, *, busy: bool) -> None:
        connection = self.by_transport.get(transport) if transport is not None else None
        if connection is not None:
            connection.busy = busy
            connection.head_complete()

    def drop(self, connection: _Connection) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError:  # no file descriptor is free, or the peer has gone already
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            while len(self._open) >= self._most:
                self._make_room()
            connection = _Connection(self, self._answering())
            self._open[connection] = None
            opening = loop.create_task(self._open_one(connection, accepted))
            opening.add_done_callback(partial(self._opened, connection, accepted))
            connection.opening = opening
            await asyncio.sleep(0)

    def _make_room(self) -> None:
        """Close the oldest connection without a request; if there is none, the oldest."""
        idle = next((its for its in self._open if not its.busy), None)
        closed = idle if idle is not None else next(iter(self._open))
        self.drop(closed)
        closed.abort()

    async def _open_one(self, connection: _Connection, accepted: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection,
            accepted,
            ssl=self._tls,
            ssl_handshake_timeout=self.head_seconds if self._tls is not None else None,
        )

    def _opened(
        self, connection: _Connection, accepted: socket.socket, opening: asyncio.Task[None]
    ) -> None:
        """Give a connection up whose handshake has failed, or that was closed before it began."""
        if opening.cancelled() or opening.exception() is not None:
            connection.head_complete()
            self.drop(connection)
            accepted.close()
