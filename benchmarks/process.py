"""The service as a separate process, observed from outside."""

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

NOT_READ = ("REFERENCES", "MARGINS", "POSITIONS", "STATUSES")
"""The optional streams, which the load does not have."""

QUICK = {
    "STATE__COMMIT_SECONDS": "0.5",
    "STATE__SNAPSHOT_SECONDS": "1",
    "DETECTION__WARMUP_BARS": "10",
}
"""Settings with which little happens late, for a run of seconds."""

_Result = TypeVar("_Result")


class Scrape:
    """One response of /metrics, and its time (monotonic seconds)."""

    def __init__(self, text: str) -> None:
        self.at = time.monotonic()
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> float:
        """The sum over a metric's label sets that match these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def largest(self, name: str) -> float:
        """The maximum over a metric's label sets; 0 if there are none."""
        return max((sample.value for sample in self._samples if sample.name == name), default=0.0)


def variables(servers: str, run: str, **settings: str) -> dict[str, str]:
    """The environment of a service that reads and writes the topics of a run."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("FORESHOCK_")
    }
    foreshock_variables = {
        "KAFKA__BOOTSTRAP_SERVERS": servers,
        "KAFKA__GROUP_ID": run,
        "KAFKA__START": "earliest",
        **{f"TOPICS__{stream.upper()}": topic_name(run, stream) for stream in STREAMS},
        **dict.fromkeys((f"TOPICS__{n}" for n in NOT_READ), ""),
        **{f"OUTPUTS__{name.upper()}": topic_name(run, name) for name in OUTPUTS},
        "LOG__FORMAT": "json",
        **settings,
    }
    python_path = os.pathsep.join([str(ROOT), inherited.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return (
        inherited
        | {"PYTHONPATH": python_path}
        | {f"FORESHOCK_{k}": v for k, v in foreshock_variables.items()}
    )


def create_topics(environment: Mapping[str, str], partitions: int) -> None:
    """Create the topics that the variables name, as an operator would.

    Raises SystemExit with the command's output if they cannot be created.
    """
    command = [sys.executable, "-m", "service", "topics", "--create", "--partitions"]
    result = subprocess.run(
        [*command, str(partitions)],
        env=dict(environment),
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SystemExit(f"cannot create the topics:\n{result.stdout}{result.stderr}")


def cold(environment: Mapping[str, str], servers: str, run: str) -> dict[str, str]:
    """The variables of a second group that reads the same inputs; creates its output topics."""
    outputs = {k: v for k, v in variables(servers, run).items() if "OUTPUTS__" in k}
    second = {**environment, **outputs, "FORESHOCK_KAFKA__GROUP_ID": run}
    create_topics(second, PARTITIONS)
    return second


def resident_bytes(pid: int) -> int:
    """The current resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class ServiceProcess:
    """``foreshock run`` as a process; the context stops it in order."""

    def __init__(self, environment: Mapping[str, str], log: Path, port: int) -> None:
        self._variables = {**environment, "FORESHOCK_HTTP__PORT": str(port)}
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
        """Kill it, as a crash would."""
        self.process.kill()
        self.process.wait()

    def failed(self, why: str) -> SystemExit:
        """An exception with the reason and the end of the service's log."""
        return SystemExit(f"{why}:\n{self._log.read_text()[-4000:]}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET. Raises OSError while the service does not answer."""
        if self.process.poll() is not None:
            raise self.failed("the service ended")
        try:
            with urllib.request.urlopen(self._url + path, timeout=10) as answer:  # noqa: S310 - a local URL
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def scrape(self) -> Scrape:
        """The current metrics. Raises OSError while the service does not answer."""
        return Scrape(self.get("/metrics")[1])

    def until(self, condition: Callable[[Scrape], object], seconds: float = 600.0) -> Scrape:
        """Scrape until a condition holds. Raises SystemExit if it does not within ``seconds``."""

        def holds() -> Scrape | None:
            scrape = self.scrape()
            return scrape if condition(scrape) else None

        return self._until(holds, 0.1, seconds)

    def until_ready(self, seconds: float = 600.0) -> float:
        """Wait until the service is ready; return the time. Raises SystemExit as ``until`` does."""

        def ready_at() -> float | None:
            return time.monotonic() if self.get("/readyz")[0] == 200 else None

        return self._until(ready_at, 0.05, seconds)

    def _until(
        self, attempt: Callable[[], _Result | None], pause_seconds: float, seconds: float
    ) -> _Result:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(OSError):  # no answer yet
                if (result := attempt()) is not None:
                    return result
            time.sleep(pause_seconds)
        raise self.failed(f"condition not met within {seconds:.0f} s")

    def resident_bytes(self) -> int:
        """Its current resident memory."""
        return resident_bytes(self.process.pid)
