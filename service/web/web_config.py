"""TLS and basic authentication of the HTTP server, from a web configuration file.

The format is that of ``--web.config.file`` of Prometheus, Alertmanager and the exporters
(https://github.com/prometheus/exporter-toolkit). The server supports a part of it. An unsupported
key is an error: the server must not ignore a protection that the operator asked for.
"""

import difflib
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from msgspec import Struct, field

from service.errors import ConfigurationError
from service.settings.load import MAX_FILE_BYTES

SETTING = "http.web_config_file"

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENTS: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_BCRYPT = re.compile(r"^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$")
_MAX_COST = 18  # above it, one comparison takes longer than a client waits
_SECTIONS = ("tls_server_config", "basic_auth_users")


class TlsConfig(Struct, frozen=True):
    """``tls_server_config``; paths are relative to the folder of the file."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: Literal[
        "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"


class WebConfig(Struct, frozen=True):
    """What the HTTP server requires of its clients; by default nothing.

    ``tls`` is the context of the server, None for plain HTTP. ``users`` holds bcrypt hashes of
    passwords, by user; empty for no authentication.
    """

    tls: ssl.SSLContext | None = None
    users: Mapping[str, str] = field(default_factory=dict)


def load_web_config(file: str) -> WebConfig:
    """Read a web configuration file; "" for none.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or has invalid or unsupported content.
    """
    if not file:
        return WebConfig()
    path = Path(file)
    content = _content(path)
    errors = list(_errors(content))
    if errors:
        lines = "".join(f"\n  {error}" for error in errors)
        raise ConfigurationError(f"{SETTING}: {file} cannot be used:{lines}")
    tls = content.get("tls_server_config")
    return WebConfig(
        _context(TlsConfig(**tls), path.parent) if tls else None,
        content.get("basic_auth_users") or {},
    )


def _content(path: Path) -> Any:
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{SETTING}: {path} is larger than {MAX_FILE_BYTES} bytes")
        return yaml.safe_load(content.decode("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{SETTING}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{SETTING}: {path} is not UTF-8 text") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date or number that is none. Without the message of the YAML error: it
        # quotes the line, which may contain a hash.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigurationError(f"{SETTING}: {path} is not valid YAML{where}") from None


def _errors(content: Any) -> Iterator[str]:
    if not isinstance(content, dict):
        yield "it must have the sections tls_server_config, basic_auth_users or both"
        return
    for name in content:
        if name not in _SECTIONS:
            yield f"{name}: {_unknown(str(name), _SECTIONS)}"
        elif content[name] is None:
            yield f"{name}: it is empty; complete it, or remove it to serve without it"
    if (tls := content.get("tls_server_config")) is not None:
        yield from _tls_errors(tls)
    if (users := content.get("basic_auth_users")) is not None:
        yield from _user_errors(users)


def _user_errors(users: Any) -> Iterator[str]:
    if not isinstance(users, dict):
        yield "basic_auth_users: it must be a table of user names and bcrypt hashes of passwords"
        return
    for name, hashed in users.items():
        if not isinstance(name, str) or not name or ":" in name:
            yield f"basic_auth_users.{name}: a name must be text without a colon"
        found = _BCRYPT.match(hashed) if isinstance(hashed, str) else None
        if found is None:
            yield (
                f"basic_auth_users.{name}: it must be the bcrypt hash of a password, as "
                "`htpasswd -nBC 10 NAME` prints it after the colon"
            )
        elif not 4 <= int(found[1]) <= _MAX_COST:
            yield f"basic_auth_users.{name}: the cost must be from 4 to {_MAX_COST}"


def _tls_errors(tls: Any) -> Iterator[str]:
    section = "tls_server_config"
    known = TlsConfig.__struct_fields__
    if not isinstance(tls, dict):
        yield f"{section}: it must be a table of {', '.join(known)}"
        return
    for name, value in tls.items():
        if name not in known:
            yield f"{section}.{name}: {_unknown(str(name), known)}"
        elif not isinstance(value, str):
            yield f"{section}.{name}: it must be text"
        elif name == "client_auth_type" and value not in _CLIENTS:
            yield f"{section}.{name} = {value}: it must be one of {', '.join(_CLIENTS)}"
        elif name in ("min_version", "max_version") and value not in _VERSIONS:
            yield f"{section}.{name} = {value}: it must be one of {', '.join(_VERSIONS)}"
    yield from _tls_conflicts(tls, section)


def _tls_conflicts(tls: Mapping[str, Any], section: str) -> Iterator[str]:
    """Yield missing keys of ``tls_server_config`` and conflicts between its keys."""
    for name in ("cert_file", "key_file"):
        if not tls.get(name):
            yield f"{section}.{name}: it is missing"
    verified = tls.get("client_auth_type", "NoClientCert") != "NoClientCert"
    if verified and not tls.get("client_ca_file"):
        yield f"{section}.client_ca_file: it is missing, and client_auth_type needs it"
    if not verified and tls.get("client_ca_file"):
        yield (
            f"{section}.client_auth_type: client_ca_file has no effect without it; set it to "
            "RequireAndVerifyClientCert"
        )
    if (tls.get("min_version"), tls.get("max_version")) == ("TLS13", "TLS12"):
        yield f"{section}.max_version: it must not be below min_version"


def _unknown(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"it is not supported; {hint}"


def _context(config: TlsConfig, folder: Path) -> ssl.SSLContext:
    """Create the server's TLS context. Raises ConfigurationError if a file is not usable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    certificate, key = folder / config.cert_file, folder / config.key_file
    try:
        # OpenSSL must not ask for the password of a key on the terminal.
        context.load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, ValueError):
        raise ConfigurationError(
            f"{SETTING}: tls_server_config: {certificate} and {key} are not a certificate and its "
            "key in PEM, without a password"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{SETTING}: tls_server_config: cannot read {certificate} or {key}: {error.strerror}"
        ) from None
    if config.client_ca_file:
        authorities = folder / config.client_ca_file
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError:
            raise ConfigurationError(
                f"{SETTING}: tls_server_config.client_ca_file: {authorities} has no certificate in "
                "PEM"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"{SETTING}: tls_server_config.client_ca_file: cannot read {authorities}: "
                f"{error.strerror}"
            ) from None
        context.verify_mode = _CLIENTS[config.client_auth_type]
    return context
