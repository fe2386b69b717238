"""The image's health check: whether the service in this container answers ``/healthz``.

It is run every few seconds, so it loads next to nothing. It reads the port from the same variable
as the service, and finds out by itself whether the port speaks TLS.
"""

import http.client
import os
import ssl
import sys

TIMEOUT_SECONDS = 2.0


def is_alive(port: int) -> bool:
    """Ask on loopback, in plain text and, where that is not understood, over TLS."""
    try:
        return _is_ok(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS))
    except (http.client.BadStatusLine, ConnectionResetError):
        pass  # not HTTP
    except OSError:
        return False
    # Nothing is told and nothing is believed but that it answers: no certificate needs to be known.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context
    )
    try:
        connection.connect()
        return _is_ok(connection)
    except http.client.RemoteDisconnected:
        return True  # after the handshake it wants a certificate of ours: so it lives
    except (http.client.HTTPException, OSError):
        return False


def _is_ok(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_alive(int(os.environ.get("FORESHOCK_HTTP__PORT") or 9464)))
