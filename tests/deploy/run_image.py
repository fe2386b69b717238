"""Run the built image against a real Kafka: read-only, without privileges, as an ordinary user.

``deploy/image.sh test`` calls this with the engine, the image and buildah's storage folder.
Everything listens on loopback: the containers share the host's network.
"""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from deploy.kafka.kafka import KafkaServer, free_port

START_SECONDS = 60
STOP_SECONDS = 5

WRITES = """
import errno, os, sys
assert os.getuid() >= 1000, os.getuid()
try:
    open("/opt/foreshock/probe", "w")
except OSError as error:
    assert error.errno == errno.EROFS, error
else:
    sys.exit("the root file system can be written")
open("/tmp/probe", "w").write("a scratch folder is there")
"""

# As engines lay it out, and with their options: read-only root, /proc, scratch space in memory,
# no capability, no way to gain one. Everything ends with the process, which is exec'ed.
CHROOT = """
root=$1 user=$2 group=$3 folder=$4; shift 4
mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" || exit 97
mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/tmp" || exit 97
for device in null zero urandom; do mount --bind /dev/$device "$root/dev/$device" || exit 97; done
exec chroot "$root" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all env --chdir="$folder" "$@"
"""

NOT_VERIFIED = """\
NOT verified, because there is no container engine here: the default base image (a debootstrap
system stood in for it), the engine's network, published ports, cgroup limits and seccomp profile,
and the health check's timer. The service ran as process 1 in the image's files, by chroot, in
namespaces of its own for mounts and processes.
"""

Command = Callable[[list[str], dict[str, str]], list[str]]


@contextlib.contextmanager
def engine_container(engine: str, image: str) -> Iterator[tuple[dict[str, Any], Command]]:
    """The image's configuration, and what starts a container of docker or podman."""
    inspected = output([engine, "image", "inspect", "--format", "{{json .Config}}", image])

    def command(arguments: list[str], environment: dict[str, str]) -> list[str]:
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        return [
            *(engine, "run", "--rm", "--network=host", "--read-only", "--tmpfs=/tmp"),
            *("--cap-drop=ALL", "--security-opt=no-new-privileges", *variables),
            *(f"--entrypoint={arguments[0]}", image, *arguments[1:]),
        ]

    yield json.loads(inspected), command


@contextlib.contextmanager
def chroot_container(image: str, store: str) -> Iterator[tuple[dict[str, Any], Command]]:
    """The image's configuration, and what starts a process in its files."""
    places = ("--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", "vfs")
    buildah = ["buildah", *places]
    inspected = json.loads(output([*buildah, "inspect", "--type", "image", image]))
    config = inspected["Docker"]["config"]
    container = output([*buildah, "from", "--pull-never", image])
    root = output([*buildah, "mount", container])
    for device in ("null", "zero", "urandom"):
        Path(root, "dev", device).touch()

    def command(arguments: list[str], environment: dict[str, str]) -> list[str]:
        user, _, group = config["User"].partition(":")
        variables = [*config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", CHROOT, "sh"),
            *(root, user, group, config["WorkingDir"]),
            *("--ignore-environment", *variables, *arguments),
        ]

    try:
        yield config, command
    finally:
        output([*buildah, "rm", container])


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def say(text: str) -> None:
    sys.stdout.write(f"  ok  {text}\n")
    sys.stdout.flush()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def await_status(process: subprocess.Popen[bytes], port: int, path: str) -> float:
    """Seconds until the path answers 200."""
    begin = time.monotonic()
    while time.monotonic() - begin < START_SECONDS:
        if process.poll() is not None:
            raise SystemExit(f"the container ended with exit code {process.returncode}")
        try:
            if get(port, path)[0] == 200:
                return time.monotonic() - begin
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{path} did not answer 200 within {START_SECONDS} s")


def service_pid(process: subprocess.Popen[bytes]) -> int:
    """Who gets SIGTERM: unshare's child; docker and podman have none and pass it on."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0]) if children else process.pid


async def produce(bootstrap: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait("market.orders", value, key=b"BTC-PERP")


def await_metric(port: int, line: str) -> None:
    """Wait until the exposition has the line."""
    deadline = time.monotonic() + START_SECONDS
    while line not in get(port, "/metrics")[1].splitlines():
        if time.monotonic() > deadline:
            raise SystemExit(f"/metrics does not show {line}")
        time.sleep(0.1)


def check_config(config: dict[str, Any]) -> list[str]:
    """Check how the image is described; its health check's command."""
    user, _, group = config["User"].partition(":")
    assert int(user) >= 1000, config["User"]
    assert group.isdigit(), config["User"]
    assert config["Entrypoint"] == ["foreshock"], config
    assert config["Cmd"] == ["run"], config
    assert "9464/tcp" in config["ExposedPorts"], config
    kind: str
    health: list[str]
    kind, *health = config["Healthcheck"]["Test"]
    assert kind == "CMD", config["Healthcheck"]
    say(f"user {config['User']}, entry point, port and health check are set")
    return health


def check_container(command: Command, health: list[str], bootstrap: str) -> None:
    port = free_port()
    environment = {
        "FORESHOCK_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "FORESHOCK_HTTP__HOST": "127.0.0.1",
        "FORESHOCK_HTTP__PORT": str(port),
        "FORESHOCK_LOG__LEVEL": "warning",
    }
    output(command(["python3", "-c", WRITES], environment))
    say("the root is read-only, /tmp is not, and the user is an ordinary one")
    name, version = output(command(["foreshock", "--version"], environment)).split()
    say(f"{name} {version}")
    output(command(["foreshock", "check-config"], environment))
    say("foreshock check-config")
    output(command(["foreshock", "topics", "--create"], environment))
    say("foreshock topics --create")

    process = subprocess.Popen(command(["foreshock", "run"], environment))
    try:
        say(f"/healthz after {await_status(process, port, '/healthz'):.1f} s")
        say(f"/readyz after {await_status(process, port, '/readyz'):.1f} s more")
        await_metric(port, f'foreshock_build_info{{version="{version}"}} 1.0')
        say("/metrics names the version")
        for path, sign in (("/", "<title>Foreshock"), ("/static/plotly.min.js", "plotly.js v")):
            status, text = get(port, path)
            assert (status, sign in text) == (200, True), path
        say("the console and its plots are served")
        asyncio.run(produce(bootstrap, b"not JSON"))
        await_metric(port, 'foreshock_records_total{topic="market.orders"} 1.0')
        say("a record that was produced is counted in /metrics")
        output(command(health, environment))
        say("the health check's command")
        begin = time.monotonic()
        os.kill(service_pid(process), signal.SIGTERM)
        code = process.wait(STOP_SECONDS)
        assert code == 0, f"exit code {code} after SIGTERM"
        say(f"stopped {time.monotonic() - begin:.1f} s after SIGTERM, exit code 0")
        unhealthy = subprocess.run(
            command(health, environment), stderr=subprocess.DEVNULL, check=False
        )
        assert unhealthy.returncode != 0
        say("the health check's command fails once the service is gone")
    finally:
        process.kill()
        process.wait()


def main() -> None:
    engine, image, store = sys.argv[1:]
    if engine == "buildah" and os.getuid() != 0:
        raise SystemExit("an image made by buildah is tested in a chroot, which needs root")
    sys.stdout.write(f"testing {image}, built with {engine}\n")
    container = (
        chroot_container(image, store) if engine == "buildah" else engine_container(engine, image)
    )
    with container as (config, command), KafkaServer() as server:
        check_container(command, check_config(config), server.bootstrap_servers)
    sys.stdout.write(f"{image}: all of it works\n")
    if engine == "buildah":
        sys.stdout.write(NOT_VERIFIED)


if __name__ == "__main__":
    main()
