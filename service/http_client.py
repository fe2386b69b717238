"""HTTP requests with a bound on the size and the time of every answer.

Every HTTP request that Foreshock sends uses this session: to an Alertmanager, to a token endpoint,
to a schema registry.
"""

import ssl
from collections.abc import Mapping

import aiohttp

MAX_ANSWER_BYTES = 65_536
"""The most bytes that are read of an answer. A token with many claims has some kB."""

_MAX_HEAD_BYTES = 16_384  # of each line and header field


def bounded_session(
    *, seconds: float, headers: Mapping[str, str], tls: ssl.SSLContext | bool = True
) -> aiohttp.ClientSession:
    """Return a session with a time limit for each request, which never decompresses an answer.

    Parameters
    ----------
    seconds
        The time limit of a request, including the reading of its answer.
    headers
        The headers of every request.
    tls
        Verifies the server's certificate.
    """
    return aiohttp.ClientSession(
        headers={"Accept-Encoding": "identity", **headers},
        connector=aiohttp.TCPConnector(ssl=tls),
        timeout=aiohttp.ClientTimeout(total=seconds),
        auto_decompress=False,
        read_bufsize=MAX_ANSWER_BYTES // 2,
        max_line_size=_MAX_HEAD_BYTES,
        max_field_size=_MAX_HEAD_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def beginning(answer: aiohttp.ClientResponse, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Return the first ``most_bytes`` of a body; close the connection if there are more."""
    body = b""
    async for piece in answer.content.iter_chunked(MAX_ANSWER_BYTES):
        body += piece
        if len(body) >= most_bytes:
            answer.close()
            break
    return body[:most_bytes]
