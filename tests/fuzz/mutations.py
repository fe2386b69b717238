"""Mutations that know the structure of a case. The fuzzer itself mutates bytes."""

import json
from collections.abc import Callable
from random import Random

from tests.fuzz.cases import OPERATION_BYTES

NUMBERS = [
    "0", "-0", "-0.0", "1", "-1", "0.1", "1e308", "1.7976931348623157e308", "-1e308", "1e309",
    "5e-324", "2e-308", "1e-30", "9.9e-31", "1e15", "1.0000000000000002e15", "1e999", "-1e-999",
    "NaN", "Infinity", "-Infinity", "nan", "0x10", "1_000", "01", "+1", ".5", "1.", "1e", "--1",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "-9223372036854775809",
    "946684800000000000", "946684799999999999", "1769817600000000000", "1769817660000000001",
    "1769817600000", "4" * 4_301, "0." + "3" * 10_000, "1" + "0" * 400, "1e" + "9" * 30,
]  # fmt: skip
STRINGS = [
    "", " ", "buy", "sell", "limit", "market", "null", "true", "BTC-PERP", "x" * 64, "x" * 65,
    "é" * 64, "\U0001f680" * 64, "a\\u0000b", "\\u001b[2J", "\\n2026 forged", "\\u202egnp.exe",
    "\\u200b", "\\ufeff", "\\ud800", "\\udc00\\ud800", '\\"', "\\\\", "<script>alert(1)</script>",
    "{}", "$(id)", "%s%n", "../../etc", "\\u001f0\\u001f0", "\u2028", "- at `$.price`", "x" * 5_000,
]  # fmt: skip
OTHERS = ["null", "true", "false", "[]", "{}", "[" * 2_000, '{"a":' * 2_000, '""', "[[[]]]", ""]


def json_text(rng: Random) -> str:
    """An edge-case JSON text, not always valid."""
    match rng.randrange(4):
        case 0:
            return rng.choice(NUMBERS)
        case 1:
            return f'"{rng.choice(NUMBERS)}"'
        case 2:
            return f'"{rng.choice(STRINGS)}"'
        case _:
            return rng.choice(OTHERS)


def wire(data: bytes, rng: Random) -> bytes:
    """Change, remove or repeat a field of a record, or repeat or add a record."""
    header, *lines = data[:1], *data[1:].split(b"\n")
    at = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            lines.insert(at, rng.choice(lines))
        case 1:
            lines.insert(at, rng.choice([b"", b"\0", b" ", b"null", b"[]", b"\xef\xbb\xbf{}"]))
        case 2:
            header = bytes([rng.randrange(256)])
        case _:
            lines[at] = _change_record(lines[at], rng)
    return header + b"\n".join(lines)


def _change_record(line: bytes, rng: Random) -> bytes:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not fields:
        return b'{"ts_event":1769817600000000000,"symbol":"S0","order_id":"o1"}'
    texts = [(json.dumps(name), json.dumps(value)) for name, value in fields.items()]
    at = rng.randrange(len(texts))
    match rng.randrange(8):
        case 0:
            del texts[at]
        case 1:  # the same key twice
            texts.append((texts[at][0], json_text(rng)))
        case 2:
            texts[at] = (f'"{rng.choice(["T", "sym", "q", "account"])}"', texts[at][1])
        case 3:
            texts += [(f'"k{i}"', "0") for i in range(rng.choice([1, 200]))]
        case _:
            texts[at] = (texts[at][0], json_text(rng))
    body = ",".join(f"{name}:{value}" for name, value in texts)
    return f"{{{body}}}".encode("utf-8", "surrogatepass")


def operations(data: bytes, rng: Random) -> bytes:
    """Repeat, remove, move or change whole operations."""
    header, body = data[:1] or b"\0", data[1:]
    size = OPERATION_BYTES
    steps = [body[i : i + size] for i in range(0, len(body), size)] or [rng.randbytes(size)]
    at = rng.randrange(len(steps))
    match rng.randrange(5):
        case 0:
            steps[at:at] = [steps[at]] * rng.choice([1, 1, 2, 10])
        case 1:
            del steps[at]
        case 2:
            steps.insert(at, steps.pop(rng.randrange(len(steps))))
        case 3:
            steps.insert(at, rng.randbytes(size))
        case _:
            header = bytes([rng.randrange(256)])
    return header + b"".join(steps)


def anything(data: bytes, rng: Random) -> bytes:
    """Change, remove, repeat or add bytes."""
    at = rng.randrange(len(data) + 1)
    match rng.randrange(4):
        case 0:
            return data[:at] + rng.randbytes(rng.randrange(1, 9)) + data[at:]
        case 1:
            return data[:at] + data[at + rng.randrange(1, 17) :]
        case 2:
            return data[:at] + data[at // 2 : at] + data[at:]
        case _:
            changed = bytearray(data or b"\0")
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
            return bytes(changed)


STRUCTURED: dict[str, Callable[[bytes, Random], bytes]] = {"wire": wire, "core": operations}
"""Mutations that know a target's cases. Byte mutations alone would rarely produce valid cases."""


def mutated(target: str, data: bytes, rng: Random) -> bytes:
    """A case with a structured or a byte mutation."""
    structured = STRUCTURED.get(target, anything)
    return structured(data, rng) if rng.random() < 0.7 else anything(data, rng)
