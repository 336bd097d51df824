"""The ablations, with paired intervals: `python benchmarks/ablation.py NAME [--ipc 1 10] [--rows ROW ...] [--baseline ROW]`.

Reads data/NAME/shards and work/NAME/{coreset,experts,ceiling.json}, as `dvc repro` leaves them, and goes through distill, export,
evaluate and publish for each row: a method with some of its values changed. Rows lie under work/ablation/NAME/ROW as methods lie
in a grid, so `avdistill report` makes the page: every row against avdd, or another --baseline, by a paired bootstrap over test
clips. Rows that are there already are not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

if TYPE_CHECKING:
    from collections.abc import Callable


def everywhere(name: str, change: Callable[[float], float | None]) -> dict[str, object]:
    """One of jcf's parameters, changed for each modality and in the candidates beside the first too."""

    def changed(values: dict[str, float | list[float]]) -> dict[str, object]:
        return {
            m: [change(one) for one in own] if isinstance(own, list) else change(own)
            for m, own in values.items()
        }

    return {
        name: lambda section: changed(section[name]),
        "others": lambda section: [
            {**other, name: changed(other[name])} for other in section["others"]
        ],
    }


PIECES = "{frame: [2, 2], logmel: [2, 2]}"
STEP = "{frame: [30.0], logmel: [30.0]}"
ALL = "{frame: [color, crop, cutout, flip, scale, rotate], logmel: [shift, gain, mask_time, mask_mel]}"
# Row -> method, and what is changed in its section of `distill`: a value, or what makes one of the section.
ROWS: dict[str, tuple[str, dict[str, object]]] = {
    # AVDD's posters: random, herding, random + factor, herding + factor + base, + joint, + gap.
    "random": ("random", {}),
    "herding": ("herding", {}),
    "random-factor": ("random", {"formation": PIECES}),
    "herding-factor": ("formed", {}),
    "dm": ("dm", {}),
    "avdd-joint": ("avdd", {"weight_gap": 0.0}),
    "avdd": ("avdd", {}),
    # What settles AVDD: equal step sizes are unequal steps.
    "dm-same-rate": ("dm", {"rates": "{frame: [0.2], logmel: [0.2]}"}),
    "avdd-same-rate": ("avdd", {"rates": "{frame: [0.2], logmel: [0.2]}"}),
    "dm-matched": ("dm", {"rates": "{frame: [4.2], logmel: [4.2]}"}),
    "avdd-unequal": ("avdd", {"weight_joint": 10.0, "weight_gap": 1.0}),
    "cross": ("cross", {}),
    "avdd-labelled": ("avdd", {}),
    # What each ingredient of jcf is worth.
    "jcf": ("jcf", {}),
    "labelled": ("labelled", {}),
    "jcf-hard": ("jcf", everywhere("temperature", lambda _: None)),
    # At low frequencies |phi_real - phi_synthetic| is bandwidth times a distance of means, and so is its slope.
    "jcf-mean": ("jcf", {"bandwidth": 0.01, **everywhere("rates", lambda rate: 100 * rate)}),
    "jcf-joint": ("jcf", {"joint": 0.5}),
    "jcf-untrained": ("jcf", {"last": 0.0}),
    "jcf-trained": ("jcf", {"first": 1.0}),
    "jcf-calibration": ("jcf", {"weight": 0.1}),
    "jcf-calibration-only": ("jcf", {"weight": 10.0}),
    "jcf-still": ("jcf", everywhere("rates", lambda _: 0.0)),
    "jcf-one-formation": ("jcf", {"others": "[]", "formation": PIECES, "rates": STEP}),
    "jcf-augment": ("jcf", {"augment": ALL}),
    "jcf-start-random": ("jcf", {"start": "random"}),
    "jcf-start-kmeans": ("jcf", {"start": "kmeans"}),
}
# Row -> the row whose sets it has, with the experts' labels in place of the class.
LABELLED = {"avdd-labelled": "avdd"}


def main() -> None:
    """Make the rows that are missing, then the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--ipc", type=int, nargs="+", default=[1])
    parser.add_argument("--rows", nargs="+", choices=[*ROWS], default=[*ROWS])
    parser.add_argument(
        "--baseline",
        choices=[*ROWS],
        default="avdd",
        help="the row that all others are compared with",
    )
    parser.add_argument("--params-file", default="params.yaml")
    given = parser.parse_args()
    place = Path("work/ablation") / given.name
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path("work") / given.name / "ceiling.json", place)
    for ipc in given.ipc:
        for row in given.rows:
            make(given.name, row, ipc, place / row / f"ipc{ipc}", given.params_file)
    grid = {"datasets": [given.name], "methods": given.rows, "ipcs": given.ipc}
    changes = [f"grid.{axis}=[{', '.join(map(str, values))}]" for axis, values in grid.items()]
    page = Path("work/ablation") / f"{given.name}.html"
    page.unlink(missing_ok=True)
    avdistill(
        given.params_file,
        [*changes, f"report.baseline={given.baseline}"],
        "report",
        place.parent,
        page,
    )


def make(name: str, row: str, ipc: int, place: Path, params: str) -> None:
    """One row at one IPC: the stages whose output is not there."""
    method, changes = ROWS[row][0], changes_of(row, params)
    shards, work = Path("data") / name / "shards", Path("work") / name
    synthetic, artifacts, scores, published = (
        place / part for part in ("synthetic", "artifacts", "scores.json", "published")
    )
    steps: list[tuple[Path, tuple[object, ...]]] = [
        (
            synthetic,
            (
                "distill",
                method,
                ipc,
                shards / "train",
                work / "coreset",
                synthetic,
                "--experts",
                work / "experts",
            ),
        ),
        (artifacts, ("export", synthetic, artifacts)),
        (scores, ("evaluate", artifacts, shards, scores)),
        (published, ("publish", artifacts, scores, published)),
    ]
    place.mkdir(parents=True, exist_ok=True)
    if row in LABELLED and not synthetic.exists():
        label(
            place.parents[1] / LABELLED[row] / place.name / "synthetic",
            name,
            synthetic,
            Path(params),
        )
    for output, command in steps:
        if not output.exists():
            avdistill(params, changes, *command)


def changes_of(row: str, params: str) -> list[str]:
    """What `--set` is given for a row."""
    from pipeline.core.params import load

    method, changed = ROWS[row]
    section = load(Path(params)).get_section(f"distill.{method}")
    told = {
        key: json.dumps(value(section)) if callable(value) else value
        for key, value in changed.items()
    }
    return [f"distill.{method}.{key}={value}" for key, value in told.items()]


def label(made: Path, name: str, out: Path, values: Path) -> None:
    """The sets of another row, with labels of the temperature that row `labelled` has; their seconds are the other row's too."""
    if not made.exists():
        sys.exit(
            f"{made} does not exist, and the sets of this row are labelled from it; make row {made.parents[1].name} first"
        )
    import torch

    from pipeline.core import plugins, tensors
    from pipeline.core.files import create_folder
    from pipeline.core.params import load
    from pipeline.distillation.soft_labels import add_soft_labels
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.shards.read import read_shards
    from pipeline.training.bank import read_bank

    params = load(values)
    means, teacher = (
        EvaluationSetup.from_params(params),
        plugins.build("method", "labelled", params),
    )
    bank = read_bank(Path("work") / name / "experts", means.networks, means.heads)
    real = read_shards(Path("data") / name / "shards/train")
    with create_folder(out) as part:
        for path in sorted(made.glob("seed*.safetensors")):
            soft = add_soft_labels(
                tensors.load_synthetic(path), bank, real, teacher.temperature, torch.device("cpu")
            )
            tensors.save_synthetic(part / path.name, soft)
        shutil.copy(made / "losses.csv", part)
    shutil.copy(made.with_suffix(".seconds.json"), out.with_suffix(".seconds.json"))


def avdistill(params: str, changes: list[str], *command: object) -> None:
    options = [word for change in changes for word in ("--set", change)]
    words = [sys.executable, "-m", "stages", "--params-file", params, *options, *map(str, command)]
    if subprocess.run(words, check=False).returncode:
        sys.exit(
            f"{' '.join(map(str, command))} failed, see above; run the same line again, what is done is kept"
        )


if __name__ == "__main__":
    main()
