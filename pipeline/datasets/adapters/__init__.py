"""Adapters: read a dataset's own annotation files, or a folder, as clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.records import Clip, Source


class AdapterPlugin(Protocol):
    """A dataset that can be listed; each file in this folder defines one as `Dataset`."""

    def source(self, root: Path) -> Source:
        """Return name, home page, licence and citation, as the dataset's authors state them.

        Args:
            root: the folder of the annotation files and media.
        """

    def clips(self, root: Path) -> list[Clip]:
        """Return all clips, sorted by id.

        Args:
            root: the folder of the annotation files and media.

        Raises:
            SourceError: annotation files are missing or wrong, or no media file is there.
        """
