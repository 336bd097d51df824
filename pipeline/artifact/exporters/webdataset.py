"""WebDataset: one tar of training instances, each with its arrays and its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._instances import decode_instances, make_keys
from pipeline.shards.layout import move_channels_last
from pipeline.shards.write import write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import SyntheticSet


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A tar of training instances; it has no parameters."""

    def write(self, artifact: AnyPath, out: AnyPath) -> str:
        """Write `<label>_<n>.frame.npy`, `.logmel.npy` and `.json` per training instance.

        Frames are float32 [T, H, W, 3] in 0..255, log-mels float32 [M, F] in dB. The formation is
        undone. Values are as distilled, neither rounded nor clipped, so they may exceed 0..255.

        Args:
            artifact: the .h5 file.
            out: the tar.
        """
        count = write_tar(out, _iterate_samples(read_artifact(artifact).synthetic))
        return f"{out}  {count} training instances"


def _iterate_samples(
    synthetic: SyntheticSet,
) -> Iterator[tuple[str, dict[str, np.ndarray], dict[str, Any]]]:
    instances, order = decode_instances(synthetic)
    keys = make_keys(instances.label[order].tolist())
    for key, index in zip(keys, order[:, None], strict=True):
        taken = instances.take(index)
        rows = {m: synthetic.normalisation[m].undo(row)[0] for m, row in taken.items()}
        label = int(instances.label[index])
        about = {
            "class": synthetic.classes[label],
            "label": label,
            "soft_label": {m: values[index][0].tolist() for m, values in instances.soft.items()},
            "source_key": synthetic.source_key[int(index) % len(synthetic.label)],
        }
        yield key, {m: move_channels_last(row.numpy()) for m, row in rows.items()}, about
