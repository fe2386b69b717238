"""A single-node Apache Kafka on loopback, from its Maven artifacts.

``make kafka`` runs this file. The Kafka tests, the image test and the benchmarks use
:class:`KafkaServer`, so there is one way to start a broker. Standard library only.
"""

import argparse
import base64
import contextlib
import hashlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

HOST = "127.0.0.1"
DEFAULT_PORT = 9092
DEFAULT_HEAP = "512m"
START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 30.0

POM = Path(__file__).with_name("pom.xml")
HOME = POM.parents[2] / ".kafka"

# After a crash the controller refuses the broker until the crashed broker's session has expired.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={storage}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=16777216
"""


class KafkaError(Exception):
    """The broker cannot be started. The message gives the cause and the remedy."""


def missing_tools() -> list[str]:
    """The tools to install before a broker can start, as sentences; empty if none is missing."""
    sentences = []
    if shutil.which("java") is None:
        sentences.append("java is not on the PATH: install a Java runtime, 17 or newer")
    if shutil.which("mvn") is None and not _library_folder().is_dir():
        sentences.append("mvn is not on the PATH: install Maven, which fetches Kafka (once)")
    return sentences


def resolve_libraries() -> Path:
    """Fetch Kafka and its dependencies with Maven, once per version of pom.xml.

    Returns
    -------
    Path
        The folder that holds the jars.

    Raises
    ------
    KafkaError
        If Maven is missing or fails.
    """
    folder = _library_folder()
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        raise KafkaError("\n".join(missing_tools()))
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Fill a temporary folder and rename it, so an interrupted or concurrent fetch leaves no
    # incomplete folder.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
        filled = Path(scratch, "lib")
        _run(
            [
                *("mvn", "--batch-mode", "--quiet", "--file", str(POM)),
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={filled}",
            ],
            "Maven cannot fetch Kafka",
        )
        with contextlib.suppress(OSError):  # another process was first
            filled.rename(folder)
    if not folder.is_dir():
        raise KafkaError(f"Maven did not create {folder}")
    return folder


def free_port() -> int:
    """A free TCP port on loopback, below the kernel's range for outgoing connections.

    From within that range, a client that reconnects while the broker is down may receive the
    broker's port, connect to itself, and prevent the broker's restart.
    """
    for _ in range(200):
        port = random.randint(10_000, 30_000)  # noqa: S311 (not a secret)
        if _port_is_free(port):
            return port
    raise KafkaError("no free port between 10000 and 30000 on loopback")


class KafkaServer:
    """One broker that is its own controller; a context manager that starts and stops it.

    ``stop`` or ``kill``, then ``start``, is a restart: same port, same data.

    Parameters
    ----------
    directory
        Folder of the settings, log and data. None means a temporary folder, removed when the
        context ends.
    port
        TCP port on loopback; 0 means any free port.
    heap
        The Java heap limit, as for ``-Xmx``.
    properties
        Lines for server.properties. They override the defaults with the same key.
    scram_users, java_options
        Passwords for SCRAM-SHA-512, by user; options of the Java runtime (``-Dname=value``).
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int = 0,
        heap: str = DEFAULT_HEAP,
        properties: str = "",
        scram_users: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="foreshock-")
            directory = Path(self._temporary.name)
        self.directory = directory.resolve()
        self.port = port or free_port()
        self.heap = heap
        self._properties = properties
        self._scram_users = scram_users or {}
        self._java_options = java_options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, as clients need it."""
        return f"{HOST}:{self.port}"

    @property
    def log_path(self) -> Path:
        """The broker's standard output and error."""
        return self.directory / "broker.log"

    @property
    def pid(self) -> int | None:
        """The broker's process id, or None when it is not running."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Start the broker and wait until its metadata response contains a broker.

        Raises
        ------
        KafkaError
            If Java, Maven or the port is unavailable, or the broker does not answer in time.
        """
        if self.pid is not None:
            return
        if missing := missing_tools():
            raise KafkaError("\n".join(missing))
        if not _port_is_free(self.port):
            raise KafkaError(
                f"port {self.port} on {HOST} is in use: stop its process, or choose another port"
            )
        libraries = resolve_libraries()
        properties = self._configure(libraries)
        with self.log_path.open("wb") as log:
            java = (*self._java_options, "kafka.Kafka", str(properties))
            process = self._process = subprocess.Popen(  # noqa: S603 (fixed arguments)
                _java(libraries, *java, heap=self.heap),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C does not reach the broker; stop() stops it in order
            )
        self._wait_for_answer(process, time.monotonic() + timeout_seconds)

    def stop(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> None:
        """Stop the broker with SIGTERM, or with SIGKILL after the timeout."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_seconds)
        finally:  # also after a second Ctrl-C, so that no broker is left running
            self.kill()

    def kill(self) -> None:
        """Kill the broker without a clean shutdown, as in a crash."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop the broker, and remove its folder if it is temporary."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _configure(self, libraries: Path) -> Path:
        storage = self.directory / "storage"
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self.directory / "server.properties"
        settings = {"host": HOST, "port": self.port, "storage": storage}
        defaults = PROPERTIES.format(controller_port=free_port(), **settings)
        properties.write_text(defaults + self._properties)  # the last of duplicate keys wins
        if not (storage / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            # Java's option parser would treat a leading dash as an option.
            cluster = cluster.replace("-", "_")
            tool = ("kafka.tools.StorageTool", "format", "--config", str(properties))
            users = [
                f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]"
                for name, password in self._scram_users.items()
            ]
            _run(
                _java(libraries, *tool, "--cluster-id", cluster, *users),
                "cannot format Kafka's storage",
            )
        return properties

    def _wait_for_answer(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while time.monotonic() < deadline:
            if (code := process.poll()) is not None:
                self._process = None
                raise KafkaError(f"the broker ended with exit code {code}:\n{self._log_tail()}")
            if _answers(self.port):
                return
            time.sleep(0.1)
        self.kill()
        raise KafkaError(f"the broker does not answer on port {self.port}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([*lines, f"(full log: {self.log_path})"])


def _library_folder() -> Path:
    return HOME / f"lib-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def _java(libraries: Path, *arguments: str, heap: str = "256m") -> list[str]:
    return [
        "java",
        f"-Xmx{heap}",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dorg.apache.logging.log4j.level=WARN",
        *("-cp", f"{libraries}/*"),
        *arguments,
    ]


def _run(command: list[str], complaint: str) -> None:
    """Run a command to its end. Raise KafkaError with the end of its output if it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        output = "\n".join((result.stdout + result.stderr).strip().splitlines()[-20:])
        raise KafkaError(f"{complaint} (exit code {result.returncode}):\n{output}")


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    """Whether the broker's metadata response (version 1) names at least one live broker.

    An open port is not enough: the broker refuses requests until it has joined its controller.
    """
    body = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)  # no client id, no topics
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as stream:
                head = stream.read(12)  # size, correlation id, number of brokers
    except OSError:
        return False
    return len(head) == 12 and struct.unpack(">iii", head)[2] >= 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a single-node Apache Kafka on loopback.")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="TCP port (default %(default)s; 0: any free)"
    )
    parser.add_argument(
        "--heap", default=DEFAULT_HEAP, help="limit of the Java heap (default %(default)s)"
    )
    location = parser.add_mutually_exclusive_group()
    location.add_argument(
        "--data", type=Path, default=HOME / "data", help="folder of the data (default .kafka/data)"
    )
    location.add_argument(
        "--temporary", action="store_true", help="keep the data in a folder removed at the end"
    )
    return parser.parse_args()


def main() -> int:
    """Run a broker until SIGTERM or Ctrl-C; return the exit code."""
    options = _arguments()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    write = sys.stdout.write
    directory = None if options.temporary else options.data
    try:
        server = KafkaServer(directory, port=options.port, heap=options.heap)
        if not _library_folder().is_dir():
            write("fetching Kafka with Maven (first start only)\n")
        write(f"starting Kafka on {server.bootstrap_servers}\n")
        sys.stdout.flush()
        with server:
            write(
                f"Kafka answers on {server.bootstrap_servers}; its log: {server.log_path}\n"
                "  create the topics:  "
                f"FORESHOCK_KAFKA__BOOTSTRAP_SERVERS={server.bootstrap_servers} "
                ".venv/bin/foreshock topics --create\n"
                "  run the service:    "
                f"FORESHOCK_KAFKA__BOOTSTRAP_SERVERS={server.bootstrap_servers} make run\n"
                "Press Ctrl-C to stop it.\n"
            )
            sys.stdout.flush()
            while server.pid is not None:
                time.sleep(0.2)
            write(f"the broker ended unexpectedly; its log: {server.log_path}\n")
            return 1
    except KeyboardInterrupt:
        write("stopped\n")
        return 0
    except KafkaError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
