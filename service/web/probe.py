"""The health check of the container image: whether the service answers ``/healthz``.

It runs every few seconds, so it imports little. It reads the port from the same variable as the
service, and detects by itself whether the port uses TLS.
"""

import http.client
import os
import ssl
import sys

TIMEOUT_SECONDS = 2.0


def is_alive(port: int) -> bool:
    """Send a request on loopback, first in plain text, then over TLS."""
    try:
        return _is_ok(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS))
    except (http.client.BadStatusLine, ConnectionResetError):
        pass  # not HTTP
    except OSError:
        return False
    # Nothing secret is sent and only the status is used, so the certificate is not verified.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context
    )
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
    sys.exit(not is_alive(int(os.environ.get("FORESHOCK_HTTP__PORT") or 9464)))
