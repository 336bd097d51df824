"""DD-Ranking (Li et al., 2025): tensors per modality for the evaluators of `ddranking.metrics`.

The evaluators take normalised images [N, 3, H, W], as many of each class and class by class; soft
labels [N, classes] as logits, which they feed to a softmax; hard labels [N]; and a learning rate.
They take one picture per sample and no sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._instances import decode_instances
from pipeline.core.errors import ArtifactError
from pipeline.core.files import create_folder
from pipeline.core.paths import to_path
from pipeline.core.plugins import pick

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.core.paths import AnyPath


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """Tensors for DD-Ranking; they have no parameters."""

    def write(self, artifact: AnyPath, out: AnyPath) -> str:
        """Write a folder `<modality>/` with images.pt, hard_labels.pt, labels.pt and lr.pt.

        labels.pt is written if there are soft labels, lr.pt if a learning rate was learned. All
        files can be read by `torch.load(..., weights_only=True)`. The formation is undone, so
        DD-Ranking's `ipc` is the artifact's times its pieces; the returned text names it.

        Args:
            artifact: the .h5 file.
            out: the new folder.

        Raises:
            ArtifactError: frames have several moments.
        """
        out = to_path(out)
        synthetic = read_artifact(artifact).synthetic
        instances, order = decode_instances(synthetic)
        rates = synthetic.provenance.get("learned_rates", {})
        lines = []
        with create_folder(out) as part:
            for modality, rows in instances.take(order).items():
                images = pick(IMAGES, modality, "picture")(rows).contiguous()
                tensors: dict[str, Any] = {"images": images, "hard_labels": instances.label[order]}
                if modality in instances.soft:
                    tensors["labels"] = instances.soft[modality][order].clamp_min(TINY).log()
                if modality in rates:
                    tensors["lr"] = float(rates[modality])
                (part / modality).mkdir()
                for name, value in tensors.items():
                    torch.save(value, part / modality / f"{name}.pt")
                names = ", ".join(tensors)
                lines.append(f"{out / modality}  {names}; images {list(images.shape)}")
        return "\n".join([*lines, f"ipc for DD-Ranking: {len(order) // len(synthetic.classes)}"])


# The smallest probability with a finite logarithm.
TINY = torch.finfo(torch.float32).tiny


def _take_moment(rows: Tensor) -> Tensor:
    if rows.shape[1] != 1:
        raise ArtifactError(
            f"frames of {rows.shape[1]} moments are not single pictures, and DD-Ranking takes one "
            "per sample; distil a set with one moment"
        )
    return rows[:, 0]


# modality -> a function from its rows to images [N, 3, H, W]; a log-mel is a grey picture
IMAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "frame": _take_moment,
    "logmel": lambda rows: rows.expand(-1, 3, -1, -1),
}
