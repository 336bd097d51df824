"""The rows of the paper's table, so that those which were not run are told as such."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = ("zero-shot", "prototypes", "supervised prototypes", "mlp")
# Encoder, as extract.<name>.model or extract.external.spaces calls it -> its rows.
ROWS = {
    "Wav2CLIP": ("zero-shot", "mlp"),
    "AudioCLIP": ALL,
    "MS CLAP": ("zero-shot", "mlp"),
    "laion/clap-htsat-fused": ALL,
}
# Dataset -> the encoders and rows that the paper has for it.
TABLE = dict.fromkeys(("ESC-50", "UrbanSound8K", "FSD50K"), ROWS)


def list_missing_rows(dataset: str, encoder: str) -> Iterator[dict[str, str]]:
    """The published rows of a dataset that are not of this encoder, and what each needs."""
    for other, rows in TABLE.get(dataset, {}).items():
        if other != encoder:
            yield from (
                {"row": row, "encoder": other, "not_run": f"needs vectors of {dataset} by {other}"}
                for row in rows
            )
