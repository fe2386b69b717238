"""Write a simulation to files: the streams and, next to them, the ground truth."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detectors.kill_switch.switch import encode
from service.exchange.measures import Truth
from service.exchange.scenarios.catalogue import Scenario
from service.exchange.simulation import START_NS, simulate_with_risk
from service.exchange.venue.contracts import contracts
from service.exchange.venue.switches import switch_log
from service.replay.files import EventWriter

TRUTH_FILE = "truth.ndjson"
SWITCHES_FILE = "switches.ndjson"
_REPORT_EVERY = 5_000


@dataclass(frozen=True, slots=True)
class Recording:
    """What was written: the number of events per stream, the ground truth, and the elapsed time."""

    directory: Path
    counts: dict[str, int]
    truths: list[Truth]
    elapsed_seconds: float


def simulate_to_directory(
    out: Path,
    *,
    scenario: Scenario,
    seed: int,
    symbols: int | Sequence[str] = 4,
    start_ns: int = START_NS,
    duration_seconds: float = 1_800.0,
    events_per_second: float = 30.0,
    compression: str = "none",
    progress: Callable[[float, int], None] | None = None,
) -> Recording:
    """Run a simulation; write ``orders.ndjson``, the other streams, and ``truth.ndjson``.

    An audited structure has ``switches.ndjson`` as well, the log of its kill switches.

    Parameters
    ----------
    out
        Output directory. It is created if it does not exist, and must not hold streams yet.
    scenario, seed, symbols, start_ns, events_per_second
        As for `simulate_with_risk`.
    duration_seconds
        Duration in market time.
    compression
        "none", "gz" or "zst". The ground truth is never compressed.
    progress
        Called at intervals with the share done (0 to 1) and the number of events so far.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    FileExistsError
        If the directory already holds streams.
    RuntimeError
        If ``compression`` is "zst" and the extra that writes it is not installed.
    """
    if duration_seconds <= 0:
        raise ValueError(f"duration is {duration_seconds} s; it must be positive")
    started = time.monotonic()
    duration_ns = int(duration_seconds * 1e9)
    events = simulate_with_risk(
        scenario,
        seed=seed,
        symbols=symbols,
        start_ns=start_ns,
        duration_ns=duration_ns,
        events_per_second=events_per_second,
    )
    truths: list[Truth] = []
    count = 0
    with EventWriter(out, compression) as writer:
        for event in events:
            if isinstance(event, Truth):
                truths.append(event)
                continue
            writer.write(event)
            count += 1
            if progress is not None and count % _REPORT_EVERY == 0:
                progress(min((event.ts_event - start_ns) / duration_ns, 1.0), count)
    truths.sort(key=lambda truth: (truth.starts_at, truth.symbol, truth.kind))
    (out / TRUTH_FILE).write_bytes(msgspec.json.Encoder().encode_lines(truths))
    if scenario.structure.audited:
        log = switch_log(
            scenario.episodes,
            [contract.symbol for contract in contracts(symbols)],
            start_ns,
            rearms_itself=scenario.structure.rules.access.rearms_itself,
        )
        (out / SWITCHES_FILE).write_bytes(b"".join(encode(its) + b"\n" for its in log))
    if progress is not None:
        progress(1.0, count)
    return Recording(out, writer.counts, truths, time.monotonic() - started)


def read_truths(directory: Path) -> list[Truth]:
    """Read the ground truth of a recorded simulation.

    Raises
    ------
    FileNotFoundError
        If the directory holds no ground truth.
    """
    return msgspec.json.Decoder(Truth).decode_lines((directory / TRUTH_FILE).read_bytes())
