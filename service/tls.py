"""Whose certificates a client of TLS trusts."""

import ssl

from service.errors import ConfigurationError


def client_context(key: str, ca_file: str) -> ssl.SSLContext:
    """A context for a client that trusts a bundle of authorities, or the system's.

    Parameters
    ----------
    key
        The setting that names the file.
    ca_file
        What it is set to; "" for the system's authorities.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError:
        raise ConfigurationError(f"{key}: there is no certificate in PEM in {ca_file}") from None
    except OSError as error:
        raise ConfigurationError(f"{key}: cannot read {ca_file}: {error.strerror}") from None
