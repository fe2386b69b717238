"""The service as a process of its own, watched from outside."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from kafka_load import OUTPUTS, PARTITIONS, topic_name
from load import STREAMS
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20

_T = TypeVar("_T")


class Scrape:
    """What /metrics said, and when (monotonic seconds)."""

    def __init__(self, text: str) -> None:
        self.at = time.monotonic()
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> float:
        """The sum over a metric's label sets that agree with the given labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def largest(self, name: str) -> float:
        """The largest over a metric's label sets, 0 if there are none."""
        return max((sample.value for sample in self._samples if sample.name == name), default=0.0)


def variables(servers: str, run: str, **settings: str) -> dict[str, str]:
    """The environment of a service that reads and writes the topics of a run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FORESHOCK_")}
    ours = {
        "KAFKA__BOOTSTRAP_SERVERS": servers,
        "KAFKA__GROUP_ID": run,
        "KAFKA__START": "earliest",
        **{f"TOPICS__{stream.upper()}": topic_name(run, stream) for stream in STREAMS},
        **dict.fromkeys((f"TOPICS__{n}" for n in ("REFERENCES", "MARGINS", "POSITIONS")), ""),
        **{f"OUTPUTS__{name.upper()}": topic_name(run, name) for name in OUTPUTS},
        "LOG__FORMAT": "json",
        **settings,
    }
    python_path = os.pathsep.join([str(ROOT), kept.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return kept | {"PYTHONPATH": python_path} | {f"FORESHOCK_{k}": v for k, v in ours.items()}


def create_topics(its: Mapping[str, str], partitions: int) -> None:
    """Make the topics that the variables name, as an operator would.

    Raises SystemExit with what was said if they cannot be made.
    """
    command = [sys.executable, "-m", "service", "topics", "--create", "--partitions"]
    made = subprocess.run(
        [*command, str(partitions)], env=dict(its), check=False, capture_output=True, text=True
    )
    if made.returncode:
        raise SystemExit(f"the topics could not be made:\n{made.stdout}{made.stderr}")


def cold(its: Mapping[str, str], servers: str) -> dict[str, str]:
    """The variables of a second group, which reads the same inputs anew; makes its outputs."""
    outputs = {k: v for k, v in variables(servers, "cold").items() if "OUTPUTS__" in k}
    second = {**its, **outputs, "FORESHOCK_KAFKA__GROUP_ID": "cold"}
    create_topics(second, PARTITIONS)
    return second


def resident_bytes(pid: int) -> int:
    """The memory that a process has resident now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class ServiceProcess:
    """``foreshock run`` as a process; a context that ends it in order."""

    def __init__(self, its: Mapping[str, str], log: Path, port: int) -> None:
        self._variables = {**its, "FORESHOCK_HTTP__PORT": str(port)}
        self._url = f"http://127.0.0.1:{port}"
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "run"],
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def failed(self, why: str) -> SystemExit:
        """What to raise: why, and the end of the service's log."""
        return SystemExit(f"{why}:\n{self._log.read_text()[-4000:]}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET. Raises OSError while nobody answers."""
        if self.process.poll() is not None:
            raise self.failed("the service ended")
        try:
            with urllib.request.urlopen(self._url + path, timeout=10) as answer:  # noqa: S310 - ours
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def scrape(self) -> Scrape:
        """What /metrics says now. Raises OSError while nobody answers."""
        return Scrape(self.get("/metrics")[1])

    def until(self, condition: Callable[[Scrape], object], seconds: float = 600.0) -> Scrape:
        """Scrape until a condition holds. Raises SystemExit if it does not in so many seconds."""

        def holds() -> Scrape | None:
            scrape = self.scrape()
            return scrape if condition(scrape) else None

        return self._until(holds, 0.1, seconds)

    def until_ready(self, seconds: float = 600.0) -> float:
        """Wait until it is ready; when that was. Raises SystemExit as ``until`` does."""

        def ready_at() -> float | None:
            return time.monotonic() if self.get("/readyz")[0] == 200 else None

        return self._until(ready_at, 0.05, seconds)

    def _until(self, found: Callable[[], _T | None], pause_seconds: float, seconds: float) -> _T:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(OSError):  # nobody answers, yet
                if (its := found()) is not None:
                    return its
            time.sleep(pause_seconds)
        raise self.failed(f"not within {seconds:.0f} s")

    def resident_bytes(self) -> int:
        """The memory that it has resident now."""
        return resident_bytes(self.process.pid)
