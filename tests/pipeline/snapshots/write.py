"""Keeps a snapshot that this version's code wrote: run it once when the format has been raised.

python tests/pipeline/snapshots/write.py
"""

import base64
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))


def main() -> None:
    """Write ``format-N.jsonl`` beside this file."""
    from detectors.state import FORMAT
    from service.pipeline.output import Tally
    from service.pipeline.snapshots import parts
    from service.settings.assembly import partition_task
    from service.settings.types import Settings, settings_hash
    from tests.pipeline.events import by_stream, market

    settings = Settings()
    task = partition_task(settings, ("orders", "cancels", "trades"), Tally())
    for stream, events in by_stream(market(3, 90, ("AAA", "BBB"), 4)).items():
        task.feed(stream, events, first_offset=0, next_offset=len(events))
        task.aligner.set_idle(stream)
    task.advance()
    with (HERE / f"format-{FORMAT}.jsonl").open("w") as file:
        for symbol in ("AAA", "BBB"):
            snapshot = task.snapshot(symbol)
            for part in parts(snapshot, slot=0, generation="1", settings=settings_hash(settings)):
                row = {
                    "key": _text(part.key),
                    "value": _text(part.value),
                    "headers": [[name, _text(header)] for name, header in part.headers],
                }
                file.write(json.dumps(row) + "\n")


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


if __name__ == "__main__":
    main()
