"""Coresets: what a selector made of a feature table, as an order of each class's samples or as choices by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Keys = dict[str, tuple[str, ...]]  # label -> keys of its samples, best first


@dataclass(frozen=True)
class Ranking:
    """Each class's samples in one order: any number of them is a prefix of it."""

    by_label: Keys

    def select(self, count: int) -> Keys:
        """The first `count` of each class; CellError if a class has fewer."""
        remedy = (
            "raise `most` if that is what ended the ranking, or extract features of more samples"
        )
        return _require_enough(
            {label: keys[:count] for label, keys in self.by_label.items()}, count, remedy
        )

    def to_json(self) -> dict[str, Any]:
        return {"ranking": self.by_label}


@dataclass(frozen=True)
class PerCountSelections:
    """A choice of its own for each number of samples, where a choice of few is no part of one of many (k-means)."""

    by_count: dict[int, Keys]

    def select(self, count: int) -> Keys:
        """The choice of `count` samples of each class; CellError if there is none, or a class has fewer samples."""
        if count not in self.by_count:
            found = f"there are choices of {', '.join(map(str, sorted(self.by_count)))} samples a class, and {count} are needed"
            raise CellError(f"{found}; add {count} to `counts` and run `avdistill coreset` again")
        return _require_enough(self.by_count[count], count, "extract features of more samples")

    def to_json(self) -> dict[str, Any]:
        return {"by_count": {str(count): keys for count, keys in self.by_count.items()}}


@dataclass(frozen=True, kw_only=True)
class Coreset:
    """What a selector made of a feature table.

    Args:
        table: digest of the feature table that was ranked; `shards`: of the shards that the table was made from.
    """

    selector: str
    seed: int
    table: str
    shards: str
    ranking: Ranking | PerCountSelections

    def select(self, count: int) -> Keys:
        """The `count` best samples of each class; CellError names the selector's section if it has not so many."""
        try:
            return self.ranking.select(count)
        except CellError as error:
            raise CellError(f"coreset.{self.selector}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        about = {
            "selector": self.selector,
            "seed": self.seed,
            "table": self.table,
            "shards": self.shards,
        }
        return {**about, **self.ranking.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Coreset:
        try:
            choices = {
                int(count): _parse_keys(keys) for count, keys in value.get("by_count", {}).items()
            }
            ranking = (
                PerCountSelections(choices) if choices else Ranking(_parse_keys(value["ranking"]))
            )
            about = {name: value[name] for name in ("selector", "seed", "table", "shards")}
            return cls(**about, ranking=ranking)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CellError(
                f"a coreset file holds no ranking ({error}); run `avdistill coreset` again"
            ) from error


def _parse_keys(value: Mapping[str, Sequence[str]]) -> Keys:
    return {label: tuple(keys) for label, keys in value.items()}


def _require_enough(chosen: Keys, count: int, remedy: str) -> Keys:
    for label, keys in chosen.items():
        if len(keys) < count:
            raise CellError(
                f"class {label!r} has {len(keys)} of the {count} samples that are needed; {remedy}"
            )
    return chosen
