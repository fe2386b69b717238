"""The Kubernetes manifests as they are built: valid, closed, true to the service."""

import copy
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from deploy.kubernetes.prometheusrule import prometheus_rule
from service.kafka.cluster.topics import DEFAULT_PARTITIONS
from service.run import STOP_SECONDS
from service.settings.load import load_settings
from tests.deploy.custom_resources import KINDS
from tests.deploy.monitoring import DEPLOY, RULES
from tests.kafka_server import unavailable
from tests.web import metrics_page

FOLDER = DEPLOY / "kubernetes"
LABELS = {"app.kubernetes.io/name": "foreshock"}
VERSIONS = ("1.29", "1.33")
BUILDS = ("base", "overlays/example")


@cache
def build(name: str) -> list[dict[str, Any]]:
    """What kustomize makes of a folder."""
    if shutil.which("kustomize"):
        command = ["kustomize", "build", FOLDER / name]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize", FOLDER / name]
    else:
        unavailable("neither kustomize nor kubectl is installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return list(yaml.safe_load_all(done.stdout))


def only(name: str, kind: str) -> dict[str, Any]:
    """The one object of a kind."""
    (found,) = (each for each in build(name) if each["kind"] == kind)
    return found


def pod(name: str) -> dict[str, Any]:
    return only(name, "Deployment")["spec"]["template"]["spec"]


def container(name: str) -> dict[str, Any]:
    (its,) = pod(name)["containers"]
    return its


def spaced(value: Any) -> Any:
    """The same with every space, line break or run of them as one space: kustomize folds anew."""
    if isinstance(value, dict):
        return {key: spaced(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [spaced(inner) for inner in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def validate(manifest: dict[str, Any], version: str) -> None:
    """Raises where Kubernetes, or the operator whose kind it is, would refuse it."""
    kind = KINDS.get(manifest["kind"])
    if kind is None:
        kubernetes_validate.validate(manifest, version, strict=True)
    else:
        msgspec.convert(manifest, kind)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BUILDS)
def test_every_object_is_valid(name: str, version: str):
    for manifest in build(name):
        validate(manifest, version)


@pytest.mark.parametrize("kind", ["Deployment", "NetworkPolicy", *KINDS])
def test_a_misspelt_field_is_refused(kind: str):
    manifest = copy.deepcopy(only("overlays/example", kind))
    manifest["spec"]["misspelt"] = 1
    with pytest.raises((kubernetes_validate.ValidationError, msgspec.ValidationError)):
        validate(manifest, VERSIONS[-1])


def test_the_base_needs_no_operator_and_the_example_uses_them_all():
    assert KINDS.keys().isdisjoint(each["kind"] for each in build("base"))
    assert KINDS.keys() <= {each["kind"] for each in build("overlays/example")}
    assert "replicas" in only("base", "Deployment")["spec"]
    assert "replicas" not in only("overlays/example", "Deployment")["spec"], "the autoscaler's"


def test_the_rules_are_those_of_prometheus():
    committed = FOLDER / "components" / "prometheus-operator" / "prometheusrule.yaml"
    assert committed.read_text() == prometheus_rule(), "run make kubernetes"
    built = only("overlays/example", "PrometheusRule")
    assert spaced(built["spec"]) == spaced(yaml.safe_load(RULES.read_text()))
    # What they ask for is there: the job, and a name for each instance.
    monitor = only("overlays/example", "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert LABELS[monitor["spec"]["jobLabel"]] == "foreshock"
    assert "instance" in [each["targetLabel"] for each in endpoint["relabelings"]]


@pytest.mark.parametrize("name", BUILDS)
def test_the_pod_runs_as_an_ordinary_user_and_may_do_nothing_else(name: str):
    context = pod(name)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["runAsGroup"] == 10001, "the image's"
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(name)["automountServiceAccountToken"] is False
    assert only(name, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod(name)["serviceAccountName"] == only(name, "ServiceAccount")["metadata"]["name"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(name).keys()
    assert not [volume for volume in pod(name)["volumes"] if "hostPath" in volume]
    assert {"cpu", "memory"} <= container(name)["resources"]["limits"].keys()


@pytest.mark.parametrize("name", BUILDS)
def test_everything_selects_the_pods_of_foreshock_and_only_those(name: str):
    labels = only(name, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= LABELS.items()
    assert only(name, "Deployment")["spec"]["selector"]["matchLabels"] == LABELS
    assert only(name, "Service")["spec"]["selector"] == LABELS
    assert only(name, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == LABELS
    assert only(name, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == LABELS
    (spread,) = pod(name)["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == LABELS


def test_only_one_port_is_open_and_only_to_monitoring():
    policy = only("overlays/example", "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policy["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert all(rule["to"] and rule["ports"] for rule in policy["egress"])


def test_names_are_resolved_by_the_cluster_or_by_a_cache_on_the_node():
    policy = only("overlays/example", "NetworkPolicy")["spec"]
    (rule,) = (its for its in policy["egress"] if {"protocol": "UDP", "port": 53} in its["ports"])
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in rule["to"]


@pytest.mark.parametrize("name", BUILDS)
def test_the_service_takes_its_settings(name: str, tmp_path: Path):
    (configuration,) = (each for each in build(name) if each["kind"] == "ConfigMap")
    file = tmp_path / "foreshock.toml"
    file.write_text(configuration["data"]["foreshock.toml"])
    # What Kubernetes fills in is any text.
    variables = {each["name"]: each.get("value", "text") for each in container(name)["env"]}
    settings = load_settings(file, variables)
    (port,) = container(name)["ports"]
    assert settings.http.port == port["containerPort"]
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - the pod's
    mounted = [mount["mountPath"] for mount in container(name)["volumeMounts"]]
    paths = re.findall(r'_file = "(.+)"', file.read_text())
    assert all(path.startswith(tuple(mounted)) for path in paths)
    assert bool(paths) is (name != "base")
    ports = {
        each["port"]
        for rule in only(name, "NetworkPolicy")["spec"]["egress"]
        for each in rule["ports"]
    }
    servers = [settings.kafka.bootstrap_servers, settings.alertmanager.urls]
    assert {int(number) for text in servers for number in re.findall(r":(\d+)", text)} <= ports


@pytest.mark.parametrize("name", BUILDS)
def test_every_volume_is_mounted_from_something_that_is_there(name: str):
    volumes = {volume["name"]: volume for volume in pod(name)["volumes"]}
    assert volumes.keys() == {mount["name"] for mount in container(name)["volumeMounts"]}
    maps = {v["configMap"]["name"] for v in volumes.values() if "configMap" in v}
    assert maps == {each["metadata"]["name"] for each in build(name) if each["kind"] == "ConfigMap"}
    # Secrets are the operator's: the example says how they come to be, and none is kept here.
    assert not [each for each in build(name) if each["kind"] == "Secret"]
    said = (FOLDER / "overlays/example/kustomization.yaml").read_text()
    for volume in volumes.values():
        if "secret" in volume:
            assert f"secret generic {volume['secret']['secretName']}" in said


def test_a_pod_is_given_the_time_it_takes_to_stop():
    assert pod("base")["terminationGracePeriodSeconds"] >= 2 * STOP_SECONDS


def test_the_autoscaler_adds_no_pod_that_would_have_nothing_to_do_and_asks_for_what_there_is():
    spec = only("overlays/example", "ScaledObject")["spec"]
    assert spec["scaleTargetRef"]["name"] == only("base", "Deployment")["metadata"]["name"]
    assert spec["minReplicaCount"] == only("base", "Deployment")["spec"]["replicas"]
    assert spec["maxReplicaCount"] == DEFAULT_PARTITIONS
    asked = " ".join(trigger["metadata"]["query"] for trigger in spec["triggers"])
    assert set(re.findall(r"\bforeshock_\w+", asked)) <= metrics_page.specified().keys()
