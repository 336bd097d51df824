"""WebDataset: one tar of training instances, each with its arrays and what it is to be taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._instances import decode_instances, make_keys
from pipeline.shards.layout import move_channels_last
from pipeline.shards.write import write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from pipeline.core.records import SyntheticSet


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """No parameters."""

    def write(self, artifact: Path, out: Path) -> str:
        """Write a tar of `<label>_<n>.frame.npy` float32 [T, H, W, 3] in 0..255, `.logmel.npy` float32 [M, F] in dB, and `.json`.

        The formation is undone. Values are as distilled, neither rounded nor clipped, and may so lie outside of 0..255.
        """
        count = write_tar(out, _iterate_samples(read_artifact(artifact).synthetic))
        return f"{out}  {count} training instances"


def _iterate_samples(
    synthetic: SyntheticSet,
) -> Iterator[tuple[str, dict[str, np.ndarray], dict[str, Any]]]:
    whole, order = decode_instances(synthetic)
    for key, index in zip(make_keys(whole.label[order].tolist()), order[:, None], strict=True):
        rows = {m: synthetic.normalisation[m].undo(row)[0] for m, row in whole.take(index).items()}
        label = int(whole.label[index])
        about = {
            "class": synthetic.classes[label],
            "label": label,
            "soft_label": {m: values[index][0].tolist() for m, values in whole.soft.items()},
            "source_key": synthetic.source_key[int(index) % len(synthetic.label)],
        }
        yield key, {m: move_channels_last(row.numpy()) for m, row in rows.items()}, about
