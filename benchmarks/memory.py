"""The memory of a process that measures itself."""

import resource
import sys
from pathlib import Path


def peak_memory_bytes() -> int:
    """The peak resident memory of this process."""
    # getrusage includes the parent's memory before it started this program.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
