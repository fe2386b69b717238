"""The health check of the container image: whether the service answers ``/healthz``.

It runs every few seconds, so it loads next to nothing. It finds the address as the service does: in
the variables, else in the configuration file that FORESHOCK_CONFIG or the first argument names. It
finds out by itself whether the port speaks TLS.
"""

import http.client
import os
import ssl
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.web.address import reachable

TIMEOUT_SECONDS = 2.0
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 9464


def address(environ: Mapping[str, str], argv: Sequence[str] = ()) -> tuple[str, int]:
    """Where the service listens, by the variables and the configuration file."""
    path = Path(argv[0] if argv else environ.get("FORESHOCK_CONFIG") or "foreshock.toml")
    section: Any = {}
    with suppress(OSError, ValueError):  # the service itself reports a file that is wrong
        section = tomllib.loads(path.read_text("utf-8")).get("http", {})
    host = environ.get("FORESHOCK_HTTP__HOST") or section.get("host") or DEFAULT_HOST
    port = environ.get("FORESHOCK_HTTP__PORT") or section.get("port") or DEFAULT_PORT
    return str(host), int(port)


def is_alive(host: str, port: int) -> bool:
    """Ask where a server that listens on ``host`` is reached, in plain text or over TLS."""
    return any(_is_alive_at(local, port) for local in reachable(host))


def _is_alive_at(host: str, port: int) -> bool:
    try:
        return _is_ok(http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS))
    except (http.client.BadStatusLine, ConnectionResetError):
        pass  # not HTTP
    except OSError:
        return False
    # Nothing secret is sent and only the status is used, so the certificate is not verified.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    try:
        connection.connect()
        return _is_ok(connection)
    except http.client.RemoteDisconnected:
        return True  # the server requires a client certificate: it is alive
    except (http.client.HTTPException, OSError):
        return False


def _is_ok(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_alive(*address(os.environ, sys.argv[1:])))
