# The Foreshock service. Build: deploy/image.sh build, or docker build -t foreshock .
# BASE_IMAGE: any Debian-like image with Python 3.11 or newer as `python3`, and its venv module.
# A tag can change. For a build that can be repeated, pin the image by its digest:
#   --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:DIGEST
# where DIGEST is printed by: docker buildx imagetools inspect python:3.11-slim-bookworm
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
WORKDIR /src

# The two secrets are optional: a pip configuration (an index of your own) and a bundle of
# certificate authorities. They are mounted for the length of a command and are in no layer.
COPY requirements.txt requirements-dev.txt ./
RUN --mount=type=secret,id=pip_config,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    # What builds the project's wheel is pinned by hash too, in the developers' requirements.
    && awk '/^setuptools==/,!/\\$/' requirements-dev.txt > requirements-build.txt \
    && python3 -m venv /build \
    && /build/bin/pip install --require-hashes -r requirements-build.txt \
    && python3 -m venv --without-pip /opt/foreshock \
    && /build/bin/pip --python /opt/foreshock/bin/python install --require-hashes -r requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY detectors detectors
COPY foreshock foreshock
COPY service service
RUN /build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
    && /build/bin/pip --python /opt/foreshock/bin/python install --no-index --no-deps /dist/*.whl


FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Foreshock" \
      org.opencontainers.image.description="Streaming anomaly detection for derivatives exchanges" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=builder /opt/foreshock /opt/foreshock

# The root may be read-only: bytecode was compiled at installation, state lives in Kafka.
# Within a container, loopback would hide /metrics from Prometheus: publish the port with care.
ENV PATH=/opt/foreshock/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FORESHOCK_HTTP__HOST=0.0.0.0
WORKDIR /etc/foreshock
USER 10001:10001
EXPOSE 9464

HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python3", "-m", "service.web.probe"]

ENTRYPOINT ["foreshock"]
CMD ["run"]
