"""The files that computers write into every folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# The head of an AppleDouble file.
DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
NAMES = (".DS_Store", ".nfs0000000000a1b2c3", "Thumbs.db", "desktop.ini", "~$notes.docx")


def add_junk(root: Any) -> Path:
    """Write junk into a folder and all below it, an AppleDouble beside every file; return it."""
    for folder in [root, *(path for path in sorted(root.rglob("*")) if path.is_dir())]:
        for path in [path for path in folder.iterdir() if path.is_file()]:
            (folder / f"._{path.name}").write_bytes(DOUBLE)
        for name in NAMES:
            (folder / name).write_bytes(b"\x00")
        for name in ("@eaDir", ".Spotlight-V100", "lost+found"):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "seed0.h5").write_bytes(b"\x00")
    return Path(root) if isinstance(root, Path) else root
