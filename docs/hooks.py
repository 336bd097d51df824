"""Hooks of the site: the README is its first page, the changelog its last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside docs/, their links turned to where the site has them."""
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = re.sub(r"\]\(docs/", "](", text)
        for outside, inside in PAGES.items():
            text = text.replace(f"]({outside}", f"]({inside}")
        files.append(File.generated(config, target, content=text))
    return files
