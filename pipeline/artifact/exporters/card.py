"""Card: a README.md with the YAML header of the Hugging Face hub, made from the attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.artifact import read_artifact
from pipeline.artifact.exporters._about import (
    Attributes,
    describe_set,
    drop_empty,
    format_markdown,
    join_statements,
    make_name,
)
from pipeline.artifact.schema import PREPROCESSING_PARAMS
from pipeline.artifact.yardstick import (
    describe_students,
    describe_test_split,
    format_whole,
    name_measurement,
)
from pipeline.core.files import create_file
from pipeline.core.paths import to_path
from pipeline.core.records import NOT_STATED, join_names
from pipeline.core.scores import find_plain_metrics, format_score

if TYPE_CHECKING:
    import numpy as np

    from pipeline.core.paths import AnyPath

# modality -> the task, as the hub names it
TASKS = {"frame": "image-classification", "logmel": "audio-classification"}
# The hub's categories of size -> the number of rows at which each ends
SIZES = {
    "n<1K": 1_000,
    "1K<n<10K": 10_000,
    "10K<n<100K": 100_000,
    "100K<n<1M": 1_000_000,
    "1M<n<10M": 10_000_000,
}
# Licences that the hub knows by name; all others are `other` with a `license_name`.
LICENCES = (
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "odc-by", "odbl", "pddl"),
    *(
        f"cc-by{terms}-{version}"
        for terms in ("", "-sa", "-nc", "-nd", "-nc-sa", "-nc-nd")
        for version in ("3.0", "4.0")
    ),
)
# Attributes of the section "Method"
METHOD = (
    *("method", "plugin", "seed", "package_version"),
    *("content_digest", "learned_rates", "adopted"),
)
READING = """\
With h5py and numpy, raw values and the training instances, the formation undone:

```python
import json, h5py, numpy as np

def grow(n, size):  # bilinear weights [n, size]
    at = (np.arange(size) + 0.5) * n / size - 0.5
    return np.array([np.interp(at, np.arange(n), one) for one in np.eye(n)])

with h5py.File("{file}") as file:
    about = {{k: json.loads(x) if str(x)[:1] in ("[", "{{") else x for k, x in file.attrs.items()}}
    stored = {{name: file[name][()] for name in file}}
raw, instances, count = {{}}, {{}}, max(r * c for r, c in about["formation"].values())
for m, norm in about["normalisation"].items():
    packing = about.get("packing", {{}}).get(m, {{"scale": 1, "offset": 0}})  # of uint8
    rows = stored[m].astype("float32") * packing["scale"] + packing["offset"]
    mean, std = (np.array(norm[key])[:, None, None] for key in ("mean", "std"))
    raw[m] = (rows * std + mean) / norm["scale"]  # frame 0..255 [N, T, 3, H, W], logmel dB
    (r, c), (high, wide) = about["formation"][m], rows.shape[-2:]  # a row is a grid of pieces
    cells = [x for y in np.split(raw[m], c, -1) for x in np.split(y, r, -2)]
    pieces = grow(high // r, high).T @ np.concatenate(cells) @ grow(wide // c, wide)
    instances[m] = np.concatenate([pieces] * (count // (r * c)))
classes, label = about["classes"], np.tile(stored["label"], count)
```

With avdistill and PyTorch, normalised training instances, the formation undone:

```python
from torch.utils.data import DataLoader

from avdistill import read_artifact

batches = DataLoader(read_artifact("{file}").to_torch(), batch_size=32, shuffle=True)
```

`read_artifact("{file}").preprocess("clip.mp4")` makes samples of a clip of your own as those behind
the set were made: `rows` by modality, normalised, one a second.

With datasets, stored rows:

```python
from datasets import load_dataset

stored = load_dataset("hdf5", data_files="{file}", split="train").with_format("numpy")
```
"""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """The card of an artifact; it has no parameters."""

    def write(self, artifact: AnyPath, out: AnyPath) -> str:
        """Write the card: content, origin, method, ways to load it, scores, licence and citation.

        Args:
            artifact: the .h5 file.
            out: the README.md, to be published in the artifact's folder.
        """
        artifact, out = to_path(artifact), to_path(out)
        content = read_artifact(artifact)
        columns, about = content.columns, content.about
        header = _make_header(artifact.name, columns, about)
        # JSON is YAML.
        yaml = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items()]
        sections = {
            title: text.strip()
            for title, text in _make_sections(artifact.name, columns, about).items()
        }
        body = [
            f"# {make_name(about)}",
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
    licence = join_statements(about, "licence")
    if not licence:
        entries = {"license": "unknown"}
    elif licence.lower() in LICENCES:
        entries = {"license": licence.lower()}
    else:
        entries = {"license": "other", "license_name": licence}
    return {
        "pretty_name": make_name(about),
        **entries,
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
    """Return title -> text, "" where the attributes hold nothing for it."""
    digests = drop_empty(
        {"training shards": about.get("source_shards"), "preprocessing": about.get("preprocessing")}
    )
    method = drop_empty({name: about.get(name) for name in METHOD})
    params = json.dumps(about.get("params", {}), indent=1, sort_keys=True)
    classes = f"Classes, in the order of the labels: {join_names(about['classes'])}"
    sources = [
        drop_empty({**source, "by_id": source.get("by_id") or None})
        for source in about.get("sources", [])
    ]
    origin = [*map(format_markdown, sources), format_markdown(digests)]
    return {
        "Content": f"{_tabulate_columns(columns)}\n\n{classes}",
        "Origin": "\n\n".join(origin),
        "Method": f"{format_markdown(method)}\n\n```json\n{params}\n```",
        "Preprocessing": _describe_preprocessing(about),
        "How to read it": READING.format(file=file),
        "Scores": _describe_scores(about),
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


def _describe_preprocessing(about: Attributes) -> str:
    """Return the parameters that made the samples, "" for files without them."""
    if PREPROCESSING_PARAMS not in about:
        return ""
    params = json.dumps(about[PREPROCESSING_PARAMS], indent=1, sort_keys=True)
    return f"Each second of a clip became a sample by:\n\n```json\n{params}\n```"


def _describe_scores(about: Attributes) -> str:
    """Return a table of scores on the test split, and the yardstick: mean ± deviation [95 %]."""
    rows, students = [], {}
    for entry in about.get("scores", []):
        name = name_measurement(entry)
        students[name] = describe_students(about, entry)
        for metric, views in entry["metrics"].items():
            plain = metric in find_plain_metrics(entry)
            for view, summary in views.items():
                own = f"{format_score(summary, plain=plain)} | {summary['n']}"
                whole = format_whole(entry, metric, view, plain=plain) or NOT_STATED
                rows.append(f"| {name} | {metric} | {view} | {own} | {whole} |")
    if not rows:
        return ""
    head = "| measurement | metric | view | score | students | whole data |"
    trained = [f"- Students of {name}: {text}" for name, text in students.items() if text]
    test = [f"- Test split: {text}" for text in [describe_test_split(about)] if text]
    table = [head, "| --- | --- | --- | --- | --- | --- |", *rows]
    return "\n".join([*table, "", *test, *trained])
