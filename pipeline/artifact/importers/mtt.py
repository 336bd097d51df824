"""Trajectory matching: MTT, TESLA and DATM.

The files are `images_best.pt`, `labels_best.pt` and, if the learned rate was saved, `lr_best.pt`.
Labels are integers, or soft: DATM saves logits. DD-Ranking's files are the same, without `_best` in
their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from pipeline.artifact.importers._files import check_tensor, find_file, load_file
from pipeline.artifact.importers._sets import PublishedSet, order_by_class
from pipeline.core.errors import ParamsError, SourceError
from pipeline.core.paths import to_path

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import SyntheticSet

# A row of probabilities may sum to 1 up to this.
ROUNDING = 1e-3


@dataclass(frozen=True, kw_only=True)
class Importer(PublishedSet):
    """A set that code of the trajectory-matching family saved.

    Args:
        method: the member of the family that made it.
        labels: `hard` are integers [N]; `logits` and `probabilities` are [N, classes], with rows
            class by class.
        zca: whether pixels are whitened, which mean and std cannot undo.
    """

    method: str
    labels: Literal["hard", "logits", "probabilities"]
    zca: bool

    def read(self, path: AnyPath) -> SyntheticSet:
        """Read the set in a folder of such files.

        Args:
            path: the folder.

        Raises:
            ParamsError: the given values do not fit the tensors.
            SourceError: files are missing, damaged, or have other content.
        """
        path = to_path(path)
        if self.zca and any(
            (set(given.mean), set(given.std)) != ({0.0}, {1.0}) for given in self.normalise.values()
        ):
            raise ParamsError(
                "whitened pixels have no mean and std; "
                "with zca: true, set mean to [0, 0, 0] and std to [1, 1, 1]"
            )
        names = {stem: (f"{stem}_best.pt", f"{stem}.pt") for stem in ("images", "labels", "lr")}
        files = [find_file(path, names[stem]) for stem in ("images", "labels")]
        images = check_tensor(load_file(files[0]), files[0], "[rows, channels, height, width]")
        classes = len(self.read_names(path))
        order, soft = LABELS[self.labels](load_file(files[1]), len(images), classes, files[1])
        about: dict[str, Any] = {"method": self.method, "seed": 0}
        if any((path / name).is_file() for name in names["lr"]):
            files.append(find_file(path, names["lr"]))
            about["learned_rates"] = {"frame": _read_rate(load_file(files[2]), files[2])}
        if self.zca:
            about["whitening"] = "ZCA; pixels cannot be had back"
        return self.assemble({"frame": images[order]}, files, soft, **about)


def _read_rate(value: Any, file: Path) -> float:
    is_scalar = isinstance(value, torch.Tensor) and value.numel() == 1
    if not isinstance(value, float) and not is_scalar:
        raise SourceError(
            f"{file} holds {type(value).__name__}, expected a learning rate; leave the file out"
        )
    return float(value)


def _read_hard(value: Any, count: int, classes: int, file: Path) -> tuple[Tensor, None]:
    label = check_tensor(value, f"labels of {file}", "[rows]")
    if len(label) != count:
        raise SourceError(f"{file} holds {len(label)} labels for {count} images; fetch both again")
    return order_by_class(label, classes, file), None


def _read_logits(value: Any, count: int, classes: int, file: Path) -> tuple[Tensor, Tensor]:
    """Return the order and the probabilities of logits [count, classes].

    There are no hard labels to sort by, so rows must be class by class already: for at least half
    of them, the largest logit is that of their class.
    """
    soft = check_tensor(value, f"labels of {file}", "[rows, classes]").float()
    if tuple(soft.shape) != (count, classes):
        raise SourceError(
            f"{file} holds labels {list(soft.shape)}, expected [{count}, {classes}], "
            "the numbers of images and classes; name the classes that the set has"
        )
    order = torch.arange(count)
    agreement = (soft.argmax(1) == order * classes // count).float().mean()
    if agreement < 0.5:
        raise SourceError(
            f"labels of {file} give {1 - agreement:.0%} of its rows another class than their "
            "position; expected class by class"
        )
    return order, soft.softmax(1)


def _read_probabilities(value: Any, count: int, classes: int, file: Path) -> tuple[Tensor, Tensor]:
    order, _ = _read_logits(value, count, classes, file)
    soft = value.detach().float()
    if float(soft.min()) < 0 or not torch.allclose(soft.sum(1), torch.ones(count), atol=ROUNDING):
        raise ParamsError(
            f"labels of {file} are not probabilities: some are negative, or do not sum to 1; "
            "set labels: logits"
        )
    return order, soft


# Kind of labels -> a function that returns the order of rows, and probabilities of soft labels
LABELS = {"hard": _read_hard, "logits": _read_logits, "probabilities": _read_probabilities}
