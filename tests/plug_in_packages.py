"""Packages with plug-ins, installed for this process: a module and its metadata in a folder."""

import importlib
from collections.abc import Mapping
from pathlib import Path

GOOD = """
from foreshock import PlugIn

class Still:
    def learn_one(self, x): pass
    def score_one(self, x): return 0.5

def broken():
    raise RuntimeError("no model today")

FINE = PlugIn(features=["thin_book.spread"], model=Still, headline="fine", version=7)
NO_FEATURE = PlugIn(features=["thin_book.width"], model=Still, headline="x")
NO_MODEL = PlugIn(features=["thin_book.spread"], model=broken, headline="x")
NO_PLUG_IN = 3
"""
"""A package with a plug-in that works, and some that do not."""


def install(folder: Path, package: str, points: Mapping[str, str], code: str = GOOD) -> None:
    """Install version 1.2 of a package; ``points`` are its plug-ins and their objects by name.

    The folder must be on the path, and `service.plug_ins.plug_ins` must not have looked before.
    """
    (folder / f"{package}.py").write_text(code)
    metadata = folder / f"{package}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    lines = [f"{name} = {package}:{its}\n" for name, its in points.items()]
    (metadata / "entry_points.txt").write_text("[foreshock.detectors]\n" + "".join(lines))
    importlib.invalidate_caches()
