"""Trajectory matching (MTT, TESLA, DATM): `images_best.pt`, `labels_best.pt`, and `lr_best.pt` where the rate was saved.

Labels are whole numbers, or soft: logits of DATM. The files of DD-Ranking, without `_best`, are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from pipeline.artifact.importers._files import check_tensor, find_file, load_file
from pipeline.artifact.importers._sets import PublishedSet, order_by_class
from pipeline.core.errors import ParamsError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from pipeline.core.records import SyntheticSet

# A row of probabilities sums to 1 up to this.
SUMS = 1e-3


@dataclass(frozen=True, kw_only=True)
class Importer(PublishedSet):
    """What these files leave out.

    Args:
        method: which of the family made them.
        labels: whole numbers [N], or [N, classes] of logits or probabilities, rows class by class.
        zca: whether the pixels are whitened, which mean and std cannot undo.
    """

    method: str
    labels: Literal["hard", "logits", "probabilities"]
    zca: bool

    def read(self, place: Path) -> SyntheticSet:
        """The set in a folder of such files; errors say what is missing or does not fit."""
        if self.zca and any(
            (set(given.mean), set(given.std)) != ({0.0}, {1.0}) for given in self.normalise.values()
        ):
            raise ParamsError(
                "whitened pixels have no mean and std; with zca: true, mean is [0, 0, 0] and std [1, 1, 1]"
            )
        names = {what: (f"{what}_best.pt", f"{what}.pt") for what in ("images", "labels", "lr")}
        files = [find_file(place, names[what]) for what in ("images", "labels")]
        images = check_tensor(load_file(files[0]), files[0], "[rows, channels, high, wide]")
        classes = len(self.read_names(place))
        order, soft = LABELS[self.labels](load_file(files[1]), len(images), classes, files[1])
        about: dict[str, Any] = {"method": self.method, "seed": 0}
        if any((place / name).is_file() for name in names["lr"]):
            files.append(find_file(place, names["lr"]))
            about["learned_rates"] = {"frame": _read_rate(load_file(files[2]), files[2])}
        if self.zca:
            about["whitening"] = "ZCA; pixels cannot be had back"
        return self.assemble({"frame": images[order]}, files, soft, **about)


def _read_rate(value: Any, file: Path) -> float:
    if not isinstance(value, float) and not (
        isinstance(value, torch.Tensor) and value.numel() == 1
    ):
        raise SourceError(
            f"{file} holds {type(value).__name__}, expected a learning rate; leave the file out"
        )
    return float(value)


def _read_hard(value: Any, count: int, classes: int, file: Path) -> tuple[Tensor, None]:
    label = check_tensor(value, f"labels of {file}", "[rows]")
    if len(label) != count:
        raise SourceError(f"{file} holds {len(label)} labels of {count} images; fetch both again")
    return order_by_class(label, classes, file), None


def _read_logits(value: Any, count: int, classes: int, file: Path) -> tuple[Tensor, Tensor]:
    """Probabilities of logits; rows stand class by class, or most of them would be taken for another class."""
    soft = check_tensor(value, f"labels of {file}", "[rows, classes]").float()
    if tuple(soft.shape) != (count, classes):
        raise SourceError(
            f"{file} holds labels {list(soft.shape)}, expected [{count}, {classes}] as there are images and classes"
        )
    order = torch.arange(count)
    right = (soft.argmax(1) == order * classes // count).float().mean()
    if right < 0.5:
        raise SourceError(
            f"{file} takes {1 - right:.0%} of its rows for another class than they stand at; expected class by class"
        )
    return order, soft.softmax(1)


def _read_probabilities(value: Any, count: int, classes: int, file: Path) -> tuple[Tensor, Tensor]:
    order, _ = _read_logits(value, count, classes, file)
    soft = value.detach().float()
    if float(soft.min()) < 0 or not torch.allclose(soft.sum(1), torch.ones(count), atol=SUMS):
        raise ParamsError(
            f"labels of {file} are no probabilities, they are negative or sum to more than 1; set labels: logits"
        )
    return order, soft


# What labels are -> their order, and class probabilities if they are soft
LABELS = {"hard": _read_hard, "logits": _read_logits, "probabilities": _read_probabilities}
