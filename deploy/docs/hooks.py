"""What the documentation site needs beyond Markdown: files of the repository, and the diagrams."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

MERMAID = Path("build/mermaid.min.js")
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?!docs/)[^)#]+)(?:#[^)]*)?\)")

log = get_plugin_logger("foreshock")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Show a link to a file outside the documentation as its path: the site has only the pages.

    A diagram stays text where the library that draws it is missing. The theme would otherwise load
    the library from elsewhere.

    >>> on_page_markdown("See [the rules](../deploy/prometheus/foreshock.rules.yml).")
    'See the rules (`deploy/prometheus/foreshock.rules.yml`).'
    >>> on_page_markdown("Copy [`foreshock.example.toml`](../foreshock.example.toml).")
    'Copy `foreshock.example.toml`.'
    """
    if not MERMAID.exists():
        markdown = markdown.replace("```mermaid", "```text")
    return _OUTSIDE.sub(_as_path, markdown)


def _as_path(link: re.Match[str]) -> str:
    text, path = link.groups()
    return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the library that draws the diagrams, from the disk: the pages fetch nothing."""
    if MERMAID.exists():
        files.append(File.generated(config, "assets/mermaid.min.js", abs_src_path=str(MERMAID)))
    else:
        config.extra_javascript.clear()
        log.info("diagrams stay text: npm, which fetches the library that draws them, is missing")
    return files
