"""Draw the figures of the README and of docs/results.md into docs/images.

`python docs/figures.py [RUN]` reads the artifacts and scores of a finished run: RUN is the folder
that holds `work/` (default: this project), as `make demo` leaves it. The figure of docs/results.md
is drawn from the table on that page. `make figures` runs it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from pipeline.artifact import read_artifact
from pipeline.artifact.pictures import PICTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
DATASET = "generated"
ROWS = {"random": "real", "jcf": "distilled"}
TABLE = "## The distilled sets beside the whole data"

mpl.use("Agg")
mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def save(figure: Figure, name: str, dpi: int = 150) -> None:
    """Write a figure as a PNG without a date inside, so that the same run gives the same bytes."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / name
    figure.savefig(path, dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


def draw_sets(run: Path) -> Figure:
    """Draw one stored instance per class: frame and log-mel, of real samples and of a set."""
    sets = {
        label: read_artifact(first_file(run / "work" / DATASET / method / "ipc1")).synthetic
        for method, label in ROWS.items()
    }
    classes = next(iter(sets.values())).classes
    figure, axes = plt.subplots(
        len(sets) * len(PICTURES), len(classes), figsize=(len(classes) * 1.05, 4.6)
    )
    for row, (label, modality) in enumerate((x, m) for x in sets for m in PICTURES):
        made, (noun, draw) = sets[label], PICTURES[modality]
        for column, name in enumerate(classes):
            axis = axes[row, column]
            stored = made.rows[modality][list(made.label).index(column)]
            axis.imshow(draw(stored, made.normalisation[modality]), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row == 0:
                axis.set_title(name.replace("_", " "), fontsize=9)
        axes[row, 0].set_ylabel(f"{label}\n{noun}")
    figure.subplots_adjust(wspace=0.05, hspace=0.08)
    return figure


def first_file(cell: Path) -> Path:
    """Return the first seed's file of a cell, with its scores in it."""
    return min((cell / "published").glob("*.h5"))


def headline(path: Path) -> dict[str, float]:
    """Return mean and interval of the headline score in scores.json or ceiling.json, in percent."""
    entry = json.loads(path.read_text(encoding="utf-8"))["scores"][0]
    score = next(iter(entry["metrics"].values()))["av"]
    return {key: 100 * score[key] for key in ("mean", "low", "high")}


def draw_accuracy(run: Path) -> Figure:
    """Draw accuracy against instances per class, a line a method, and the whole data."""
    home = run / "work" / DATASET
    points: dict[str, dict[int, dict[str, float]]] = {}
    for path in home.glob("*/ipc*/scores.json"):
        method, ipc = path.parent.parent.name, int(path.parent.name.removeprefix("ipc"))
        points.setdefault(method, {})[ipc] = headline(path)
    figure, axis = plt.subplots(figsize=(6, 3.4))
    order = sorted(points, key=lambda method: points[method][min(points[method])]["mean"])
    for place, method in enumerate(order):
        draw_line(axis, method, points[method], place - (len(order) - 1) / 2)
    whole = headline(home / "ceiling.json")
    draw_whole(axis, whole["mean"])
    axis.set(xlabel="synthetic instances per class", ylabel="accuracy in %, sound and picture")
    ticks = sorted({ipc for values in points.values() for ipc in values})
    axis.set_xticks(ticks)
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(
        handles[::-1], labels[::-1], frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    return figure


def draw_line(axis: Axes, name: str, points: dict[int, dict[str, float]], shift: float) -> None:
    """Draw one method's means with their 95 % intervals, a little beside the others'."""
    ipcs = sorted(points)
    means = [points[ipc]["mean"] for ipc in ipcs]
    reach = [[points[i]["mean"] - points[i]["low"] for i in ipcs]]
    reach.append([points[i]["high"] - points[i]["mean"] for i in ipcs])
    places = [ipc + 0.04 * shift for ipc in ipcs]
    axis.errorbar(places, means, yerr=reach, label=name, marker="o", markersize=4, capsize=2)


def draw_whole(axis: Axes, mean: float) -> None:
    """Draw the accuracy of the whole training data as a dashed line."""
    axis.axhline(mean, color="grey", linestyle="--", linewidth=1, label="whole training data")


def read_table(text: str) -> list[dict[str, str]]:
    """Return the rows of the first table after TABLE in docs/results.md."""
    lines = text[text.index(TABLE) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    head, _, *body = rows
    return [dict(zip(head, row, strict=True)) for row in body]


def draw_results(text: str) -> Figure:
    """Draw docs/results.md's table: accuracy against IPC, one panel a data set."""
    rows = read_table(text)
    sets = list(dict.fromkeys(row["set"] for row in rows))
    figure, axes = plt.subplots(1, len(sets), figsize=(9, 2.8), sharey=True)
    for axis, name in zip(axes, sets, strict=True):
        mine = [row for row in rows if row["set"] == name]
        ipcs = [int(row["IPC"]) for row in mine]
        for method in ("avdd", "jcf"):
            means = [number(row[method]) for row in mine]
            axis.plot(range(len(ipcs)), means, marker="o", markersize=4, label=method)
        draw_whole(axis, number(mine[0]["whole data"]))
        axis.set(title=name, xlabel="instances per class", xticks=range(len(ipcs)))
        axis.set_xticklabels(ipcs)
    axes[0].set_ylabel("accuracy in %")
    axes[-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def number(text: str) -> float:
    """Return the first number of a cell of a table."""
    found = re.search(r"\d+\.\d+", text)
    if not found:
        raise ValueError(f"no number in {text!r}")
    return float(found[0])


def main(arguments: Sequence[str]) -> None:
    """Draw every figure."""
    run = Path(arguments[0]) if arguments else DOCS.parent
    if not (run / "work" / DATASET / "ceiling.json").exists():
        raise SystemExit(f"{run / 'work' / DATASET} holds no finished run; run: make demo")
    save(draw_sets(run), "sets.png")
    save(draw_accuracy(run), "accuracy.png")
    text: Any = (DOCS / "results.md").read_text(encoding="utf-8")
    save(draw_results(text), "results.png")


if __name__ == "__main__":
    main(sys.argv[1:])
