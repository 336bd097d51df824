"""Selectors: features -> a ranking of each class's samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.core.records import Features
    from pipeline.coresets.rankings import PerCountSelections, Ranking


class SelectorPlugin(Protocol):
    """A selector plugin: ranks samples by their features."""

    def rank(self, features: Features) -> Ranking | PerCountSelections:
        """Rank each class's samples, best first.

        Args:
            features: embeddings of one split.
        """
        ...
