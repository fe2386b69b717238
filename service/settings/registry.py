"""The settings of the schema registry, and which formats need it."""

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import Annotated

from msgspec import Meta, Struct

from service.mapping.rules import Format, MappingSettings
from service.settings.values import File, Url, UserName

_PACKAGES: dict[Format, str] = {"avro": "fastavro", "protobuf": "google.protobuf"}


class RegistrySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The schema registry that has the schemas of Avro and Protobuf."""

    url: Url = ""
    username: UserName = ""
    password_file: File = ""
    bearer_token_file: File = ""
    ca_file: File = ""
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 5.0


def contradictions(
    registry: RegistrySettings, plain: Format, mappings: Sequence[MappingSettings]
) -> Iterator[str]:
    """Yield a sentence for each contradiction of the registry and the formats.

    ``plain`` is the format of what no mapping names.
    """
    if bool(registry.username) != bool(registry.password_file):
        yield (
            f'registry.username = "{registry.username}": set both registry.username and '
            "registry.password_file, or neither"
        )
    if registry.bearer_token_file and registry.username:
        yield "registry.bearer_token_file and registry.username are both set; set one of them"
    keys: dict[str, Format] = {"wire.format": plain}
    keys |= {f"mappings[{n}].format": its.format or plain for n, its in enumerate(mappings)}
    if not registry.url:
        needed = next((key for key, its in keys.items() if its != "json"), None)
        if needed is not None:
            yield f'{needed} = "{keys[needed]}": it needs the address of a registry: registry.url'
    for key, its in keys.items():
        package = _PACKAGES.get(its)
        if package is not None and not _is_installed(package):
            yield (
                f'{key} = "{its}": it needs the package {package.replace("google.", "")}; '
                "install foreshock[registry]"
            )
    yield from _between(plain, mappings)


def _between(plain: Format, mappings: Sequence[MappingSettings]) -> Iterator[str]:
    for number, one in enumerate(mappings):
        for before in range(number):
            other = mappings[before]
            if not _overlap(one.topics, other.topics):
                continue
            both, of = f"mappings[{before}] and mappings[{number}]", one.format or plain
            if of != (other.format or plain):
                yield f"{both} read the same topic and differ in format: a topic has one"
            elif of != "json" and one.time_unit != other.time_unit:
                yield (
                    f"{both} read the same topic and differ in time_unit: for times of logical "
                    "types a topic has one; give unit to the fields of other times"
                )


def _overlap(topics: Collection[str], others: Collection[str]) -> bool:
    return any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in topics for b in others)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of google, a package of others
        return False
