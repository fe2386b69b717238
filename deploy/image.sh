#!/usr/bin/env bash
# Build the container image, or test the built image, with the available container engine.
#
#   deploy/image.sh build    docker, podman or buildah: the first available engine
#   deploy/image.sh test     run the built image against a real Kafka (tests/deploy/run_image.py)
#
# ENGINE=docker|podman|buildah chooses one; IMAGE names the image (default foreshock:VERSION);
# BASE_IMAGE replaces the Dockerfile's base. The build receives the host's pip configuration and
# PIP_CERT as secrets; the image does not contain them.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
revision=$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)
image=${IMAGE:-foreshock:$version}
store=$PWD/build/containers
local_base=localhost/foreshock-base:debian

fail() { echo "$*" >&2; exit 1; }

choose_engine() {
  if docker info >/dev/null 2>&1; then echo docker
  elif command -v podman >/dev/null; then echo podman
  elif command -v buildah >/dev/null; then echo buildah
  else fail "no container engine: start docker, or install podman or buildah"
  fi
}

# Separate storage: keeps the substitute base image apart from the user's images.
buildah() {
  command buildah --root "$store/root" --runroot "$store/run" --storage-driver vfs "$@"
}

# Without access to a registry, a minimal system of the host's Debian release replaces the base
# image. Packages come from the host's apt sources.
make_local_base() {
  buildah inspect --type image "$local_base" >/dev/null 2>&1 && return
  [ "$(id -u)" = 0 ] || fail "without a registry the base is made with debootstrap, as root"
  command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
  local suite mirror container root
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' |
    awk -v suite="$suite" '$1 == suite {print $2; exit}')
  [ -n "$mirror" ] || fail "apt has no source for $suite"
  echo "making a base image with debootstrap ($suite; once, about a minute)"
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$suite" "$root" "$mirror" >"$store/debootstrap.log" 2>&1 ||
    { buildah rm "$container" >/dev/null; tail -5 "$store/debootstrap.log"; fail "debootstrap failed"; }
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{doc,man,locale}/*
  buildah umount "$container" >/dev/null
  buildah commit --quiet --rm "$container" "$local_base" >/dev/null
}

build() {
  local engine=$1 config
  local arguments=(--tag "$image" --build-arg "VERSION=$version" --build-arg "REVISION=$revision")
  for config in "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/pip.conf; do
    if [ -f "$config" ]; then
      arguments+=(--secret "id=pip_config,src=$config")
      break
    fi
  done
  if [ -f "${PIP_CERT:-}" ]; then arguments+=(--secret "id=ca_bundle,src=$PIP_CERT"); fi
  if [ -n "${BASE_IMAGE:-}" ]; then arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE"); fi

  echo "building $image with $engine"
  case $engine in
    docker) DOCKER_BUILDKIT=1 docker build "${arguments[@]}" . ;;
    podman) podman build --format docker "${arguments[@]}" . ;;
    buildah)
      mkdir -p "$store"
      if [ -z "${BASE_IMAGE:-}" ]; then
        make_local_base
        arguments+=(--build-arg "BASE_IMAGE=$local_base")
      fi
      # The docker format, because the OCI format does not support HEALTHCHECK.
      buildah build --format docker --isolation chroot "${arguments[@]}" .
      buildah rmi --prune >/dev/null  # remove the replaced image
      ;;
    *) fail "unknown engine: $engine" ;;
  esac
}

engine=${ENGINE:-$(choose_engine)}
case ${1:-} in
  build) build "$engine" ;;
  test)
    build "$engine"
    exec .venv/bin/python -m tests.deploy.run_image "$engine" "$image" "$store"
    ;;
  *) fail "usage: $0 build|test" ;;
esac
