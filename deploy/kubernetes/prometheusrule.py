"""Print the Prometheus rules as a resource of the Prometheus Operator: ``make kubernetes``.

Kustomize reads no files outside its folder, and two hand-written copies of the rules would diverge.
This program adds only the surrounding lines, so comments and line breaks are preserved.
"""

import textwrap
from pathlib import Path

RULES = Path(__file__).parents[1] / "prometheus" / "foreshock.rules.yml"
HEADER = """\
# Generated from deploy/prometheus/foreshock.rules.yml by `make kubernetes`. Edit that file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: foreshock
  labels:
    app.kubernetes.io/name: foreshock
spec:
"""


def prometheus_rule() -> str:
    """The PrometheusRule as YAML."""
    _, start, groups = RULES.read_text().partition("groups:\n")
    return HEADER + textwrap.indent(start + groups, "  ")


if __name__ == "__main__":
    print(prometheus_rule(), end="")  # noqa: T201 - the command's output
