"""Print the Prometheus rules as the Prometheus Operator takes them: ``make kubernetes``.

Kustomize reads nothing outside of its folder, and rules that are kept twice drift apart. Only what
is around them is added, so comments and line breaks stay.
"""

import textwrap
from pathlib import Path

RULES = Path(__file__).parents[1] / "prometheus" / "foreshock.rules.yml"
HEADER = """\
# Made from deploy/prometheus/foreshock.rules.yml by `make kubernetes`: change it there.
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
