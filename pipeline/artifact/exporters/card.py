"""The card: a README.md with the YAML header that the Hugging Face hub reads, and a body made from the artifact's attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._about import (
    Attributes,
    describe_set,
    drop_empty,
    format_list,
    join_statements,
    name_of,
)
from pipeline.core.files import create_file
from pipeline.core.scores import find_plain_metrics, format_score

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

# modality -> the hub's task
TASKS = {"frame": "image-classification", "logmel": "audio-classification"}
# What the hub calls numbers of rows, and where each ends.
SIZES = {
    "n<1K": 1_000,
    "1K<n<10K": 10_000,
    "10K<n<100K": 100_000,
    "100K<n<1M": 1_000_000,
    "1M<n<10M": 10_000_000,
}
# Licences that the hub knows by name; others are `other`, with theirs.
LICENCES = (
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "odc-by", "odbl", "pddl"),
    *(
        f"cc-by{terms}-{version}"
        for terms in ("", "-sa", "-nc", "-nd", "-nc-sa", "-nc-nd")
        for version in ("3.0", "4.0")
    ),
)
READING = """\
With h5py and numpy, raw values:

```python
import json, h5py, numpy as np

with h5py.File("{file}") as file:
    about = {{name: json.loads(x) if isinstance(x, str) and x[:1] in "[{{" else x for name, x in file.attrs.items()}}
    stored = {{name: file[name][()] for name in file}}
raw = {{}}
for m, norm in about["normalisation"].items():
    rows, packing = stored[m].astype("float32"), about.get("packing", {{}}).get(m)
    if packing:  # uint8
        rows = rows * packing["scale"] + packing["offset"]
    mean, std = (np.array(norm[key])[:, None, None] for key in ("mean", "std"))  # rows = (raw * scale - mean) / std
    raw[m] = (rows * std + mean) / norm["scale"]  # frame 0..255 [N, T, 3, H, W], logmel dB [N, 1, M, F]
classes, label = about["classes"], stored["label"]
```

With avdistill and PyTorch, normalised training instances, the formation undone:

```python
from pathlib import Path

from torch.utils.data import DataLoader

from pipeline.artifact import read_artifact

batches = DataLoader(read_artifact(Path("{file}")).to_torch(), batch_size=32, shuffle=True)
```

With datasets, stored rows:

```python
from datasets import load_dataset

stored = load_dataset("hdf5", data_files="{file}", split="train").with_format("numpy")
```
"""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """No parameters."""

    def write(self, artifact: Path, out: Path) -> str:
        """Write the card, to lie beside the artifact: what, from what, how, how to load it, its scores, and whom to cite."""
        read = read_artifact(artifact)
        columns, about = read.columns, read.about
        header = _make_header(artifact.name, columns, about)
        yaml = [
            f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items()
        ]  # JSON is YAML
        sections = {
            title: text.strip()
            for title, text in _make_sections(artifact.name, columns, about).items()
        }
        body = [
            f"# {name_of(about)}",
            describe_set(about),
            *(f"## {title}\n\n{text}" for title, text in drop_empty(sections).items()),
        ]
        with create_file(out) as part:
            part.write_text(
                "\n".join(["---", *yaml, "---", "", "\n\n".join(body), ""]), encoding="utf-8"
            )
        return f"{out}  the card of {artifact.name}; publish both in one folder"


def _make_header(file: str, columns: dict[str, np.ndarray], about: Attributes) -> dict[str, Any]:
    count = len(columns["label"])
    said = join_statements(about, "licence")
    licence = (
        {"license": said.lower()}
        if said.lower() in LICENCES
        else {"license": "other", "license_name": said}
    )
    return {
        "pretty_name": name_of(about),
        **(licence if said else {"license": "unknown"}),
        "task_categories": [task for modality, task in TASKS.items() if modality in columns],
        "tags": [
            "dataset-distillation",
            "synthetic",
            "avdistill",
            *drop_empty({"method": about.get("method")}).values(),
        ],
        "size_categories": [next((name for name, most in SIZES.items() if count < most), "n>10M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": file}]}],
    }


def _make_sections(file: str, columns: dict[str, np.ndarray], about: Attributes) -> dict[str, str]:
    """Title -> text, empty where the attributes say nothing."""
    digests = drop_empty(
        {"training shards": about.get("source_shards"), "preprocessing": about.get("preprocessing")}
    )
    how = {
        name: about.get(name)
        for name in (
            "method",
            "plugin",
            "seed",
            "package_version",
            "content_digest",
            "learned_rates",
            "adopted",
        )
    }
    params = json.dumps(about.get("params", {}), indent=1, sort_keys=True)
    return {
        "What is in it": f"{_tabulate_columns(columns)}\n\nClasses, in the order of the labels: {', '.join(about['classes'])}.",
        "From what": "\n\n".join(
            [*map(format_list, about.get("sources", [])), format_list(digests)]
        ),
        "How it was made": f"{format_list(drop_empty(how))}\n\n```json\n{params}\n```",
        "Reading it": READING.format(file=file),
        "Scores": _tabulate_scores(about.get("scores", [])),
        "Licence": join_statements(about, "licence"),
        "Citation": join_statements(about, "citation"),
    }


def _tabulate_columns(columns: dict[str, np.ndarray]) -> str:
    types = {
        name: "text" if column.dtype.kind == "U" else str(column.dtype)
        for name, column in columns.items()
    }
    rows = [
        f"| `{name}` | {types[name]} | {list(column.shape)} |" for name, column in columns.items()
    ]
    return "\n".join(["| dataset | type | shape |", "| --- | --- | --- |", *rows])


def _tabulate_scores(scores: list[Attributes]) -> str:
    """What students reached on the test split, mean ± deviation [95 % interval]."""
    rows = [
        f"| {' '.join(entry[key] for key in ('protocol', 'network', 'head', 'task'))} | {metric} "
        f"| {view} | {format_score(one, plain=metric in find_plain_metrics(entry))} |"
        for entry in scores
        for metric, views in entry["metrics"].items()
        for view, one in views.items()
    ]
    return (
        "\n".join(["| measure | metric | view | score |", "| --- | --- | --- | --- |", *rows])
        if rows
        else ""
    )
