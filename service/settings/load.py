"""Settings from a TOML file and from ``FORESHOCK_…`` variables, each with its source.

Each setting has a dotted key, such as ``http.port``. In the file this is ``port`` in the table
``[http]``. In the environment it is ``FORESHOCK_HTTP__PORT``, which takes precedence over the file.
Only the file can have lists of tables, such as ``[[maintenance]]``. The loader reports all errors
together, each with the key, the value and the valid values.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from service.describe import expected, shortened, shown
from service.errors import ConfigurationError
from service.mapping.problems import between
from service.mapping.topics import mapped_streams
from service.pipeline.wire import ALL_STREAMS
from service.settings import kafka_security, registry
from service.settings.entries import ENTRY_TYPES, entries_as_toml, read_entries
from service.settings.secrets import HIDDEN, Secret, decode_secret, encode_hidden
from service.settings.types import (
    OWN_LABELS,
    AlertmanagerSettings,
    FieldSettings,
    Settings,
    parse_labels,
)

PREFIX = "FORESHOCK_"
CONFIG_VARIABLE = "FORESHOCK_CONFIG"
DEFAULT_FILE = Path("foreshock.toml")

MAX_FILE_BYTES = 1_048_576
"""The largest configuration file that is read."""

_FIELDS = "wire.fields"
_TESTS = "FORESHOCK_TEST_"
# Kubernetes sets these variables in every pod for each service of the namespace. A service named
# foreshock or foreshock-metrics must not stop the pod from starting.
_SERVICE_LINK = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")


class Setting(Struct, frozen=True):
    """One setting: its dotted key, its type, and its default (None: not mapped)."""

    key: str
    type: Any
    default: Any


class Assignment(Struct, frozen=True):
    """A value for a key, from a file or from a variable."""

    key: str
    source: str
    value: Any
    is_variable: bool

    @property
    def name(self) -> str:
        """The name of the setting in its source: the variable, or the key in the file."""
        return self.source if self.is_variable else self.key

    @property
    def place(self) -> str:
        """Location of the value, for a message."""
        return "" if self.is_variable else f" ({self.source})"


class Loaded(Struct, frozen=True):
    """The settings, and for each key that is set: the file or variable that sets it."""

    settings: Settings
    sources: dict[str, str]


def known_settings() -> dict[str, Setting]:
    """Return all settings by dotted key, in the order of the sections, without lists of tables."""
    found = {}
    for section in msgspec.structs.fields(Settings):
        if section.name in ENTRY_TYPES:
            continue
        for entry in msgspec.structs.fields(section.type):
            if entry.type is not FieldSettings:
                key = f"{section.name}.{entry.name}"
                found[key] = Setting(key, entry.type, entry.default)
    for stream, event in ALL_STREAMS.items():
        for entry in msgspec.structs.fields(event):
            key = f"{_FIELDS}.{stream}.{entry.name}"
            found[key] = Setting(key, str, None)
    return found


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the effective settings; see ``load``."""
    return load(path, environ).settings


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Return the effective settings and their sources.

    Parameters
    ----------
    path
        The configuration file. If None: the file that ``FORESHOCK_CONFIG`` names, else
        ``foreshock.toml`` in the working directory if it exists, else no file.
    environ
        The environment variables.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or settings are invalid. The message lists all errors.
    """
    known = known_settings()
    items = [*_from_file(path, environ, known), *_from_environment(environ)]
    errors: list[str] = []
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    allowed = _allowed(items)
    for item in items:
        if (name := item.key.partition(".")[0]) in ENTRY_TYPES:
            values[name], list_errors = _entries(name, item, allowed)
            errors += list_errors
            sources[name] = item.source
            continue
        if (setting := known.get(item.key)) is None:
            errors.append(_unknown(item, known))
            continue
        try:
            values[item.key] = _converted(item, setting)
        except ValueError as error:
            errors.append(f"{item.name} = {_formatted(item, setting)}{item.place}: {error}")
        sources[item.key] = item.source
    settings = _build(values)
    if not errors:  # otherwise some values are unknown
        errors = list(_conflicts(settings))
    if errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        lines = "".join(f"\n  {error}" for error in errors)
        raise ConfigurationError(f"{count} in the configuration:{lines}")
    return Loaded(settings, sources)


def effective(loaded: Loaded) -> str:
    """Return the settings as a TOML file that has the source of each setting in a comment.

    Fields that are not mapped are left out. A secret that is set appears only as a comment.
    """
    lines: list[str] = []
    builtins = msgspec.to_builtins(loaded.settings, enc_hook=encode_hidden)
    table = ""
    known = known_settings()
    for key in known:
        section, _, name = key.rpartition(".")
        value: Any = builtins
        for part in key.split("."):
            value = value.get(part, None)
        if value is None:
            continue
        if section != table:
            lines += [*([""] if lines else []), f"[{section}]"]
            table = section
        line = f"{name} = {shown(value)}"
        if value == HIDDEN and known[key].type is Secret:
            line = f"# {name} is set; its value is hidden"
        lines.append(f"{line:<44} # {loaded.sources.get(key, 'default')}")
    return "\n".join((*lines, *entries_as_toml(loaded.settings, loaded.sources)))


def variable(key: str) -> str:
    """Return the environment variable that sets a key.

    >>> variable("wire.fields.orders.order_id")
    'FORESHOCK_WIRE__FIELDS__ORDERS__ORDER_ID'
    """
    return PREFIX + key.upper().replace(".", "__")


def configuration_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """Return the file that ``load`` reads, and what selected it; None for no file."""
    if path is not None:
        return path, "--config"
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named), CONFIG_VARIABLE
    return (DEFAULT_FILE, "the working directory") if DEFAULT_FILE.is_file() else None


def _from_file(
    path: Path | None, environ: Mapping[str, str], known: Mapping[str, Setting]
) -> Iterator[Assignment]:
    found = configuration_file(path, environ)
    if found is None:
        return
    path, origin = found
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        tables = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"cannot read the configuration file {path} (from {origin}): {reason}"
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
    for name in ENTRY_TYPES:
        if name in tables:
            yield Assignment(name, str(path), tables.pop(name), is_variable=False)
    sections = {prefix for key in known for prefix in _prefixes(key)}
    for key, value in _leaves(tables, ""):
        if not (key in sections and value == {}):
            yield Assignment(key, str(path), value, is_variable=False)


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _prefixes(key: str) -> Iterator[str]:
    parts = key.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts)))


def _from_environment(environ: Mapping[str, str]) -> Iterator[Assignment]:
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE or name.startswith(_TESTS):
            continue
        if _SERVICE_LINK.search(name) or (name.endswith("_PORT") and "://" in value):
            continue
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        yield Assignment(key, name, value, is_variable=True)


def _formatted(item: Assignment, setting: Setting) -> str:
    """Return a value for a message; secrets, and addresses that contain one, are hidden."""
    text = shown(item.value)
    is_address = setting.key.endswith(("_url", ".urls"))
    hide = setting.type is Secret or (is_address and any(mark in text for mark in "@?#"))
    return HIDDEN if hide else shortened(text)


def _unknown(item: Assignment, known: Mapping[str, Setting]) -> str:
    inside = [key for key in known if key.startswith(item.key + ".")]
    if inside:
        example = variable(inside[0]) if item.is_variable else inside[0]
        return (
            f"{item.name}{item.place}: it is a section; set one of its settings, such as {example}"
        )
    message = f"{item.name}{item.place}: unknown setting"
    section, _, name = item.key.rpartition(".")
    siblings = [key.rpartition(".")[2] for key in known if key.rpartition(".")[0] == section]
    close = [f"{section}.{match}" for match in difflib.get_close_matches(name, siblings, n=1)]
    close = close or difflib.get_close_matches(item.key, known, n=1, cutoff=0.8)
    if close:
        return f"{message}; did you mean {variable(close[0]) if item.is_variable else close[0]}?"
    if siblings:
        return f"{message}; {section} has {', '.join(siblings)}"
    return f"{message}; the sections are {', '.join(Settings.__struct_fields__)}"


def _allowed(items: Iterable[Assignment]) -> list[str]:
    """Return the plug-ins that ``plugins.allow`` names, as far as it can be read."""
    names: Any = ()
    for item in items:
        if item.key == "plugins.allow":
            names = item.value.split(",") if item.is_variable else item.value
    return [str(its).strip() for its in names] if isinstance(names, list) else []


def _entries(
    name: str, item: Assignment, allowed: Sequence[str]
) -> tuple[tuple[Any, ...], list[str]]:
    if item.is_variable:
        return (), [f"{item.name}: {name} is a list of tables; set it in a file, as [[{name}]]"]
    return read_entries(name, item.value, item.place, allowed)


def _converted(item: Assignment, setting: Setting) -> Any:
    given = item.value
    if item.is_variable and isinstance(setting.default, tuple):
        given = [part.strip() for part in given.split(",") if part.strip()]
    try:
        value = msgspec.convert(
            given, setting.type, strict=not item.is_variable, dec_hook=decode_secret
        )
    except msgspec.ValidationError:
        raise ValueError(f"it must be {expected(setting.type)}") from None
    if setting.key.startswith(_FIELDS) and (not value or "." in value):
        raise ValueError("it must be the name of a top-level field; nested fields are not read")
    return value


def _build(values: Mapping[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {}
    streams: dict[str, dict[str, str]] = {}
    lists = {key: values[key] for key in ENTRY_TYPES if key in values}
    for key, value in values.items():
        if key in lists:
            continue
        section, _, name = key.rpartition(".")
        if section.startswith(_FIELDS):
            streams.setdefault(section.removeprefix(_FIELDS + "."), {})[name] = value
        else:
            sections.setdefault(section, {})[name] = value
    if streams:
        sections.setdefault("wire", {})["fields"] = FieldSettings(**streams)
    types = {section.name: section.type for section in msgspec.structs.fields(Settings)}
    return Settings(**{name: types[name](**content) for name, content in sections.items()}, **lists)


def _conflicts(settings: Settings) -> Iterator[str]:
    """Yield the errors between settings."""
    yield from kafka_security.contradictions(settings.kafka)
    yield from registry.contradictions(settings.registry, settings.wire.format, settings.mappings)
    used: dict[str, str] = {}
    mapped = mapped_streams(settings.mappings)
    for section in ("topics", "outputs"):
        for name, topic in msgspec.structs.asdict(getattr(settings, section)).items():
            key = f"{section}.{name}"
            if section == "topics" and name in mapped:
                continue
            if topic and topic in used:
                yield f'{key} = "{topic}": {used[topic]} has the same topic; set another one'
            used[topic] = key
    yield from _mapping_conflicts(settings, used)
    for stream, renamed in msgspec.structs.asdict(settings.wire.fields).items():
        read: dict[str, str] = {}
        for field in ALL_STREAMS[stream].__struct_fields__:
            venue_field = renamed.get(field, field)
            if venue_field in read:
                both = f"{read[venue_field]} and {field}"
                yield f'{_FIELDS}.{stream}: {both} are mapped to the same field "{venue_field}"'
            read[venue_field] = field
    yield from _alertmanager_conflicts(settings.alertmanager)
    needed = settings.detection.warmup_bars * settings.time.bar_seconds
    if settings.state.warmup_window_seconds < needed:
        yield (
            f"state.warmup_window_seconds = {settings.state.warmup_window_seconds:g}: the warm-up "
            f"takes detection.warmup_bars x time.bar_seconds = {needed:g} seconds; set it to at "
            "least that"
        )


def _mapping_conflicts(settings: Settings, used: Mapping[str, str]) -> Iterator[str]:
    """Yield the errors between the mappings and the other settings."""
    yield from between(settings.mappings)
    for number, entry in enumerate(settings.mappings):
        key = f"mappings[{number}]"
        if getattr(settings.wire.fields, entry.stream):
            yield f"{key}: {_FIELDS}.{entry.stream} renames the same stream; put all fields here"
        for topic in entry.topics:
            if topic in used:
                yield f'{key}.topics: "{topic}" is the topic of {used[topic]}; set another one'


def _alertmanager_conflicts(alertmanager: AlertmanagerSettings) -> Iterator[str]:
    if bool(alertmanager.username) != bool(alertmanager.password_file):
        yield (
            f'alertmanager.username = "{alertmanager.username}": set both '
            "alertmanager.username and alertmanager.password_file, or neither"
        )
    if alertmanager.bearer_token_file and alertmanager.username:
        yield (
            "alertmanager.bearer_token_file and alertmanager.username are both set; set one of them"
        )
    for name in sorted(OWN_LABELS & parse_labels(alertmanager.labels).keys()):
        yield f'alertmanager.labels = "{alertmanager.labels}": {name} is a reserved label'
