"""Coresets: each class's samples in one order, or one selection per number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.core.records import Features
    from pipeline.coresets.selectors import SelectorPlugin

Keys = dict[str, tuple[str, ...]]  # label -> keys of its samples, best first


@dataclass(frozen=True)
class Ranking:
    """Each class's samples in one order; any number of them is a prefix of it.

    Args:
        by_label: label -> keys, best first.
    """

    by_label: Keys

    def select(self, count: int) -> Keys:
        """Return the first samples of each class.

        Args:
            count: samples per class.

        Raises:
            CellError: a class has fewer.
        """
        remedy = "raise `most` if that ended the ranking, or extract features of more samples"
        selection = {label: keys[:count] for label, keys in self.by_label.items()}
        return _require_enough(selection, count, remedy)

    def to_json(self) -> dict[str, Any]:
        """Return the values that `Coreset.from_json` reads."""
        return {"ranking": self.by_label}


@dataclass(frozen=True)
class PerCountSelections:
    """One selection for each number of samples, where selections do not nest (k-means).

    Args:
        by_count: samples per class -> the selection.
    """

    by_count: dict[int, Keys]

    def select(self, count: int) -> Keys:
        """Return the selection for a number of samples.

        Args:
            count: samples per class.

        Raises:
            CellError: there is no selection for it, or a class has fewer samples.
        """
        if count not in self.by_count:
            counts = ", ".join(map(str, sorted(self.by_count)))
            raise CellError(
                f"there are choices of {counts} samples a class, and {count} are needed; "
                f"add {count} to `counts` and run `avdistill coreset` again"
            )
        return _require_enough(self.by_count[count], count, "extract features of more samples")

    def to_json(self) -> dict[str, Any]:
        """Return the values that `Coreset.from_json` reads."""
        return {"by_count": {str(count): keys for count, keys in self.by_count.items()}}


@dataclass(frozen=True, kw_only=True)
class Coreset:
    """The ranking of one selector, and the feature table that it ranked.

    Args:
        selector: section of `coreset`.
        seed: of the selector; 0 if it draws nothing.
        table: digest of the feature table.
        shards: digest of the shards that the table was made from.
        ranking: of each class's samples.
    """

    selector: str
    seed: int
    table: str
    shards: str
    ranking: Ranking | PerCountSelections

    def select(self, count: int) -> Keys:
        """Return the best samples of each class.

        Args:
            count: samples per class.

        Raises:
            CellError: a class has fewer; the message names the selector's section.
        """
        try:
            return self.ranking.select(count)
        except CellError as error:
            raise CellError(f"coreset.{self.selector}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return the values that `from_json` reads."""
        about = {
            "selector": self.selector,
            "seed": self.seed,
            "table": self.table,
            "shards": self.shards,
        }
        return {**about, **self.ranking.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Coreset:
        """Read a coreset.

        Args:
            value: written by `to_json`.

        Raises:
            CellError: it is no coreset.
        """
        try:
            by_count = value.get("by_count", {}).items()
            selections = {int(count): _parse_keys(keys) for count, keys in by_count}
            ranking: Ranking | PerCountSelections = (
                PerCountSelections(selections)
                if selections
                else Ranking(_parse_keys(value["ranking"]))
            )
            about = {name: value[name] for name in ("selector", "seed", "table", "shards")}
            return cls(**about, ranking=ranking)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CellError(
                f"a coreset file holds no ranking ({error}); run `avdistill coreset` again"
            ) from error


def rank_features(name: str, selector: SelectorPlugin, features: Features, table: str) -> Coreset:
    """Rank each class's samples with one selector.

    Args:
        name: the selector's section of `coreset`.
        selector: the plugin.
        features: embeddings of one split.
        table: digest of their table.
    """
    return Coreset(
        selector=name,
        seed=getattr(selector, "seed", 0),
        table=table,
        shards=features.origin.shards,
        ranking=selector.rank(features),
    )


def _parse_keys(value: Mapping[str, Sequence[str]]) -> Keys:
    return {label: tuple(keys) for label, keys in value.items()}


def _require_enough(selection: Keys, count: int, remedy: str) -> Keys:
    for label, keys in selection.items():
        if len(keys) < count:
            raise CellError(
                f"class {label!r} has {len(keys)} of the {count} samples that are needed; {remedy}"
            )
    return selection
