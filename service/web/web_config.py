"""TLS and basic authentication of our HTTP server, from a web configuration file.

The file is the one that Prometheus, Alertmanager and the exporters take with
``--web.config.file`` (https://github.com/prometheus/exporter-toolkit), as far as the server has
what it configures. A key that the server does not know is an error: what is meant to protect must
not be passed over in silence.
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

SETTING = "http.web_config_file"

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENTS: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_BCRYPT = re.compile(r"^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$")
_MAX_COST = 18  # a single request would take longer than anybody waits for an answer
_SECTIONS = ("tls_server_config", "basic_auth_users")


class TlsConfig(Struct, frozen=True):
    """``tls_server_config``: paths as the file gives them, seen from the file's folder."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: Literal[
        "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"


class WebConfig(Struct, frozen=True):
    """What the HTTP server asks of its clients; by default nothing.

    ``tls`` is ready to serve with, None for plain HTTP. ``users`` are bcrypt hashes of passwords,
    by user; empty for no authentication.
    """

    tls: ssl.SSLContext | None = None
    users: Mapping[str, str] = field(default_factory=dict)


def load_web_config(file: str) -> WebConfig:
    """Read a web configuration file; "" for none.

    Raises
    ------
    ConfigurationError
        It cannot be read, or there is anything in it that is wrong or that is not supported.
    """
    if not file:
        return WebConfig()
    path = Path(file)
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{SETTING}: cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{SETTING}: {file} is not UTF-8 text") from None
    except yaml.YAMLError as error:
        # Not the error's own words: they quote the line, and hashes may stand in it.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigurationError(f"{SETTING}: {file} is not valid YAML{where}") from None
    content = {} if content is None else content
    errors = list(_mistakes(content))
    if errors:
        lines = "".join(f"\n  {error}" for error in errors)
        raise ConfigurationError(f"{SETTING}: {file} cannot be used:{lines}")
    tls = content.get("tls_server_config")
    return WebConfig(
        _context(TlsConfig(**tls), path.parent) if tls else None,
        content.get("basic_auth_users") or {},
    )


def _mistakes(content: Any) -> Iterator[str]:
    if not isinstance(content, dict):
        yield "it must have the sections tls_server_config, basic_auth_users or both"
        return
    for name in content:
        if name not in _SECTIONS:
            yield f"{name}: {_unknown(str(name), _SECTIONS)}"
    if (tls := content.get("tls_server_config")) is not None:
        yield from _of_tls(tls)
    users = content.get("basic_auth_users")
    if users is not None and not isinstance(users, dict):
        yield "basic_auth_users: it must be names, and for each the bcrypt hash of a password"
        return
    for name, its in (users or {}).items():
        if not isinstance(name, str) or not name or ":" in name:
            yield f"basic_auth_users.{name}: a name must be text without a colon"
        found = _BCRYPT.match(its) if isinstance(its, str) else None
        if found is None:
            yield (
                f"basic_auth_users.{name}: it must be the bcrypt hash of a password, as "
                "`htpasswd -nBC 10 NAME` prints it after the colon"
            )
        elif not 4 <= int(found[1]) <= _MAX_COST:
            yield f"basic_auth_users.{name}: its cost must be from 4 to {_MAX_COST}"


def _of_tls(tls: Any) -> Iterator[str]:
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
    yield from _of_tls_together(tls, section)


def _of_tls_together(tls: Mapping[str, Any], section: str) -> Iterator[str]:
    """What no single key of ``tls_server_config`` shows."""
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
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"it is not supported; {meant}"


def _context(config: TlsConfig, folder: Path) -> ssl.SSLContext:
    """A server's context. Raises ConfigurationError if a file is not what it should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    certificate, key = folder / config.cert_file, folder / config.key_file
    try:
        # A key with a password must not ask for it on the terminal.
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
                f"{SETTING}: tls_server_config.client_ca_file: there is no certificate in PEM in "
                f"{authorities}"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"{SETTING}: tls_server_config.client_ca_file: cannot read {authorities}: "
                f"{error.strerror}"
            ) from None
        context.verify_mode = _CLIENTS[config.client_auth_type]
    return context
