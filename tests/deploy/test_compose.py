"""The Compose stack: accepted by a Compose tool, closed to the outside, complete."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kafka_server import unavailable

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = ("topics", "foreshock")


def compose_tool() -> list[str]:
    plugin = ["docker", "compose"]
    if shutil.which("docker"):
        version = subprocess.run([*plugin, "version"], capture_output=True, check=False)
        if version.returncode == 0:
            return plugin
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    unavailable("neither the docker compose plugin nor docker-compose is installed")
    return []


def test_a_compose_tool_accepts_the_stack():
    command = [*compose_tool(), "--file", str(COMPOSE), "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


def test_every_port_is_published_on_loopback_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_without_privileges_on_a_read_only_root(name: str):
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 (within the container)


def test_the_address_that_is_served_on_is_set_and_not_left_to_the_image():
    assert SERVICES["foreshock"]["environment"]["FORESHOCK_HTTP__HOST"] == "0.0.0.0"  # noqa: S104
    assert SERVICES["foreshock"]["ports"] == ["127.0.0.1:9464:9464"]


def test_images_are_pinned_to_a_version():
    tags = {
        name: service["image"].rpartition(":")[2]
        for name, service in SERVICES.items()
        if name not in OURS
    }
    assert all(tag[0] in "v0123456789" and tag.count(".") == 2 for tag in tags.values()), tags


def test_every_mounted_file_is_in_the_repository():
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    local = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert local
    assert all((COMPOSE.parent / path).exists() for path in local)


def test_the_broker_is_the_version_that_is_tested():
    pom = (COMPOSE.parent / "kafka" / "pom.xml").read_text()
    version = SERVICES["kafka"]["image"].rpartition(":")[2]
    assert f"<version>{version}</version>" in pom


def test_the_home_dashboard_is_where_dashboards_are_mounted():
    environment = SERVICES["grafana"]["environment"]
    home = Path(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == "/etc/grafana/dashboards"
    assert json.loads((COMPOSE.parent / "grafana" / "dashboards" / home.name).read_text())["title"]
