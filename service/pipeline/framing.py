"""What comes before the JSON of a record: nothing, or the prefix of Confluent's schema registry."""

_PREFIX_BYTES = 5  # a zero byte, and four of the schema's id


def unframed(value: bytes) -> bytes:
    r"""Return a value without the prefix of a schema registry.

    Raises
    ------
    ValueError
        It has none.

    Examples
    --------
    >>> unframed(b"\0\0\0\0\x07{}")
    b'{}'
    """
    if value[:1] != b"\0" or len(value) < _PREFIX_BYTES:
        raise ValueError(
            f"the record begins with byte {value[:1].hex()}; with wire.framing = "
            '"confluent" it must begin with a zero byte and the id of the schema'
        )
    return value[_PREFIX_BYTES:]
