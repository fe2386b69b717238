"""Fetch the library that draws the site's diagrams, with npm, and check it: ``mermaid.py FILE``.

The site must load nothing from elsewhere, so the library becomes a part of it. It is too large to
be kept in the repository.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "11.12.0"
SHA512 = "ZudVx73BwrMJfCFmSSJT84y6u5brEoV8DOItdHomNLz32uBjNrelm7mg95X7g+C6UoQH/W6mBLGDEDv73JdxBg=="
MEMBER = "package/dist/mermaid.min.js"


def fetch(out: Path) -> None:
    """Write the library to ``out``. Raises SystemExit if it is not the one that is pinned."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"mermaid@{VERSION}", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - no input
        (archive,) = Path(folder).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != SHA512:
            raise SystemExit(f"mermaid {VERSION} has the hash {digest}, not the pinned {SHA512}")
        with tarfile.open(archive) as packed, out.open("wb") as file:
            member = packed.extractfile(MEMBER)
            assert member is not None
            shutil.copyfileobj(member, file)


if __name__ == "__main__":
    if shutil.which("npm") is not None:
        target = Path(sys.argv[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch(target)
