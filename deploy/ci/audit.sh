#!/usr/bin/env bash
# Audit a span of a staging environment's topics: by default the last hour.
#
#   audit.sh CLAIMS [RESULTS]
#
# CLAIMS is the file with the venue's rules. RESULTS is the folder for audit.xml (JUnit), audit.html and
# audit.json, by default "audit". AUDIT_FROM and AUDIT_TO are the times of a span. The cluster is that of
# the configuration (FORESHOCK_CONFIG, and the other variables).
#
# The exit status is that of `foreshock audit`: 0 no check fails, 1 a check fails or Kafka does not
# answer, 2 the claims or the configuration are wrong.
set -euo pipefail

claims="${1:?name the file with the claims of the venue}"
results="${2:-audit}"
from="${AUDIT_FROM:-$(date --utc --date='1 hour ago' +%Y-%m-%dT%H:%M:%SZ)}"
to="${AUDIT_TO:-$(date --utc +%Y-%m-%dT%H:%M:%SZ)}"

mkdir -p "$results"
exec foreshock audit --kafka --from "$from" --to "$to" --claims "$claims" --mark-windows \
  --junit "$results/audit.xml" --html "$results/audit.html" --json "$results/audit.json"
