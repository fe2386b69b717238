"""The kinds of the Prometheus Operator and of KEDA, as far as deploy/kubernetes uses them.

Their schemas are in no package that a test can use. These are the parts of them that apply here:
fields, types, bounds and what is required, as the CRDs of prometheus-operator 0.85.0 and of KEDA
2.21.0 have them, CEL rules left out. A field that is not here is refused, as a misspelt one must
be; one that is added to a manifest is added here from the CRD.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Duration = Annotated[
    str,
    Meta(
        pattern=r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"
    ),
]
Text = Annotated[str, Meta(min_length=1)]
Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
LabelName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A mapping with nothing in it but its fields."""


class Selector(Part):
    match_labels: dict[str, str] = {}


class Relabeling(Part):
    source_labels: list[LabelName] = []
    target_label: str = ""


class MetricsEndpoint(Part):
    port: str
    path: str = "/metrics"
    interval: Duration = "0"
    scrape_timeout: Duration = "0"
    relabelings: list[Relabeling] = []


class PodMonitorSpec(Part):
    selector: Selector
    pod_metrics_endpoints: list[MetricsEndpoint]
    job_label: str = ""


class PodMonitor(Part):
    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PodMonitor"]
    metadata: dict[str, Any]
    spec: PodMonitorSpec


class Rule(Part):
    expr: int | str
    record: str = ""
    alert: str = ""
    for_: Duration = msgspec.field(default="0", name="for")
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Group(Part):
    name: Text
    rules: list[Rule]
    interval: Duration = "0"


class PrometheusRuleSpec(Part):
    groups: list[Group]


class PrometheusRule(Part):
    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PrometheusRule"]
    metadata: dict[str, Any]
    spec: PrometheusRuleSpec


class ScaleTarget(Part):
    name: Text


class Fallback(Part):
    failure_threshold: Natural
    replicas: Natural
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"
    ] = "static"


class Policy(Part):
    type: Literal["Pods", "Percent"]
    value: Positive
    period_seconds: Annotated[int, Meta(gt=0, le=1800)]


class Scaling(Part):
    policies: list[Policy]
    stabilization_window_seconds: Annotated[int, Meta(ge=0, le=3600)] = 0


class Behavior(Part):
    scale_up: Scaling
    scale_down: Scaling


class AutoscalerConfig(Part):
    behavior: Behavior


class Advanced(Part):
    horizontal_pod_autoscaler_config: AutoscalerConfig


class PrometheusTrigger(Part):
    server_address: Text
    query: Text
    threshold: Annotated[str, Meta(pattern=r"^[0-9.]+$")]


class Trigger(Part):
    type: Literal["prometheus"]
    metadata: PrometheusTrigger
    name: str = ""
    metric_type: Literal["AverageValue", "Value"] = "AverageValue"


class ScaledObjectSpec(Part):
    scale_target_ref: ScaleTarget
    triggers: Annotated[list[Trigger], Meta(min_length=1)]
    min_replica_count: Natural = 0
    max_replica_count: Positive = 100
    polling_interval: Positive = 30
    fallback: Fallback | None = None
    advanced: Advanced | None = None


class ScaledObject(Part):
    api_version: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: dict[str, Any]
    spec: ScaledObjectSpec


KINDS: dict[str, type[Part]] = {
    "PodMonitor": PodMonitor,
    "PrometheusRule": PrometheusRule,
    "ScaledObject": ScaledObject,
}
