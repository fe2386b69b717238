"""Certificates for the tests, created when needed."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


class Authority:
    """A certificate authority of the test; the signed certificates are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str, *hosts: str, password: str | None = None) -> tuple[Path, Path]:
        """Issue a certificate for a common name and hosts; return the certificate and key files."""
        issued = self._ca.issue_cert(*(hosts or (f"{name}@test.invalid",)), common_name=name)
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        encryption = (
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption()
        )
        certificate_file, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate_file.write_bytes(b"".join(c.bytes() for c in issued.cert_chain_pems))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
            )
        )
        return certificate_file, key_file
