"""Hooks of the site: add the README and other pages that lie outside docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
PAGES = {
    "benchmarks/README.md": "benchmark-scripts.md",
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}


def on_config(config: Any) -> Any:
    """Add the notes to the navigation, the latest first."""
    notes = sorted((path.name for path in (ROOT / "docs" / "notes").glob("*.md")), reverse=True)
    config.nav.append({"Notes": [f"notes/{name}" for name in notes]})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/, their links turned to where the site has them."""
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = re.sub(r"\]\((\.\./)?docs/", "](", text)
        files.append(File.generated(config, target, content=renamed(text)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn a page's links to the README and the changelog to where the site has them."""
    return renamed(markdown)


def renamed(text: str) -> str:
    """Return a page whose links to files outside docs/ lead to the site's pages."""
    for source, target in PAGES.items():
        text = re.sub(
            rf"\]\(((?:\.\./)*){re.escape(source)}",
            lambda found, to=target: f"]({found[1].removeprefix('../')}{to}",
            text,
        )
    return text
