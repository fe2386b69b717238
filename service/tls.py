"""The certificates that TLS clients trust."""

import ssl

from service.errors import ConfigurationError


def client_context(key: str, ca_file: str) -> ssl.SSLContext:
    """Return a context for a client that trusts the authorities of a file, or those of the system.

    Parameters
    ----------
    key
        The setting that names the file.
    ca_file
        The value of the setting; "" for the authorities of the system.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or contains no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError:
        raise ConfigurationError(f"{key}: no certificate in PEM format in {ca_file}") from None
    except OSError as error:
        raise ConfigurationError(f"{key}: cannot read {ca_file}: {error.strerror}") from None
