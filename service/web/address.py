"""Addresses as URLs write them, and where a server that listens on an address can be reached."""


def authority(host: str, port: int) -> str:
    """A host and a port as a URL writes them: an IPv6 address stands in brackets.

    >>> authority("127.0.0.1", 9464), authority("::1", 9464), authority("[::1]", 9464)
    ('127.0.0.1:9464', '[::1]:9464', '[::1]:9464')
    """
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def reachable(host: str) -> tuple[str, ...]:
    """Where a local program reaches a server that listens on ``host``, most likely first.

    >>> reachable("0.0.0.0"), reachable("::"), reachable("[::1]"), reachable("10.0.0.7")
    (('127.0.0.1',), ('::1', '127.0.0.1'), ('::1',), ('10.0.0.7',))
    """
    bare = host.strip("[]")
    if bare == "::":
        return ("::1", "127.0.0.1")
    return ("127.0.0.1",) if bare == "0.0.0.0" else (bare,)  # noqa: S104 - it binds nothing
