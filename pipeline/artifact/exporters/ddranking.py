"""DD-Ranking (Li et al., 2025): per modality the tensors that the evaluators of `ddranking.metrics` take, as torch saves them.

Its evaluators take image tensors [N, 3, H, W], normalised, as many of each class and class by class; labels [N, classes] as
logits, of which they take the softmax; hard labels [N]; and the rate to learn at. They know one picture per sample and no sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._instances import decode_instances
from pipeline.core.errors import ArtifactError
from pipeline.core.files import create_folder
from pipeline.core.plugins import pick

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """No parameters."""

    def write(self, artifact: Path, out: Path) -> str:
        """Write `<modality>/images.pt`, `hard_labels.pt`, `labels.pt` if there are soft labels, and `lr.pt` if a rate was learned.

        The formation is undone, so DD-Ranking's `ipc` is that of the artifact times its pieces; the answer says which. All files
        open with `torch.load(..., weights_only=True)`.
        """
        synthetic = read_artifact(artifact).synthetic
        whole, order = decode_instances(synthetic)
        told = []
        with create_folder(out) as part:
            for modality, rows in whole.take(order).items():
                content: dict[str, Any] = {
                    "images": pick(IMAGES, modality, "picture")(rows).contiguous()
                }
                content["hard_labels"] = whole.label[order]
                if modality in whole.soft:
                    content["labels"] = whole.soft[modality][order].clamp_min(TINY).log()
                if modality in (rates := synthetic.provenance.get("learned_rates", {})):
                    content["lr"] = float(rates[modality])
                (part / modality).mkdir()
                for name, value in content.items():
                    torch.save(value, part / modality / f"{name}.pt")
                told.append(
                    f"{out / modality}  {', '.join(content)}; images {list(content['images'].shape)}"
                )
        return "\n".join([*told, f"ipc for DD-Ranking: {len(order) // len(synthetic.classes)}"])


# Below this a probability has no logarithm.
TINY = torch.finfo(torch.float32).tiny


def _take_moment(rows: Tensor) -> Tensor:
    if rows.shape[1] != 1:
        raise ArtifactError(
            f"frames of {rows.shape[1]} moments are no pictures, and DD-Ranking takes one a sample; distil one"
        )
    return rows[:, 0]


# modality -> its rows [N, ...] as images of three channels; a log-mel is a grey picture
IMAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "frame": _take_moment,
    "logmel": lambda rows: rows.expand(-1, 3, -1, -1),
}
