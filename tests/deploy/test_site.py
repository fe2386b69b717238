"""The documentation site: no broken link, and pages that load nothing from elsewhere."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.chromium import browser, new_page, require_chromium

ROOT = Path(__file__).parents[2]


async def test_the_site_builds_and_its_pages_load_nothing_from_elsewhere(tmp_path: Path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    built = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    asked: list[str] = []
    async with browser(require_chromium()) as running:
        page = await new_page(running)
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "architecture", "runbook"):
            await page.goto((site / f"{name}.html").as_uri())
            await page.wait_for_load_state("networkidle")
    assert len(asked) > len(["index", "architecture", "runbook"])
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
