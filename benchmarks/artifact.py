"""The cost of an artifact: bytes by storage type, time to the first batch, and accuracy.

    python benchmarks/artifact.py work/NAME/METHOD data/NAME --params-file presets/small.yaml

METHOD holds ipc<k>/synthetic as `dvc repro` leaves them. Bytes stand beside those of the media and
of a .pt file. Accuracy is that of the same students (middle learning rate of protocol `budget`,
nothing chosen) on the validation split: no choice of storage may look at the test split.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

if TYPE_CHECKING:
    from collections.abc import Callable

STORAGES = ("float32", "float16", "uint8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--params-file", type=Path, default=Path("params.yaml"))
    parser.add_argument(
        "--students", type=int, default=3, help="Of each set; 0 leaves accuracy out."
    )
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    media = sum(
        path.stat().st_size
        for path in (given.data / "media" / "train").rglob("*")
        if path.is_file()
    )
    shards = sum(path.stat().st_size for path in (given.data / "shards" / "train").glob("*.tar"))
    print(f"training media {media / 1e6:.1f} MB, shards {shards / 1e6:.1f} MB")
    print("ipc  storage   bytes  of media  of .pt  first batch ms  (.pt ms)  accuracy av / a / v")
    for folder in sorted(
        given.method.glob("ipc*/synthetic"), key=lambda path: int(path.parent.name[3:])
    ):
        measured(folder, media, given)


def measured(folder: Path, media: int, given: Any) -> None:
    """A line per storage type for the sets of one IPC."""
    import torch

    from pipeline.artifact import ExportSettings, read_artifact, write_artifact
    from pipeline.core.tensors import load_synthetic

    sets = [load_synthetic(path) for path in sorted(folder.glob("seed*.safetensors"))]
    with tempfile.TemporaryDirectory() as place:
        pt, path = Path(place) / "set.pt", Path(place) / "set.h5"
        torch.save(sets[0].columns, pt)
        plain = timed(lambda: torch.load(pt, weights_only=True), given.rounds)
        for storage in STORAGES:
            kept = []
            for synthetic in sets:
                write_artifact(path, synthetic, ExportSettings(storage=storage))
                kept.append(read_artifact(path).synthetic)
            size = path.stat().st_size
            first = timed(lambda: first_batch(path), given.rounds)
            told = (
                " / ".join(f"{100 * value:.1f}" for value in accuracy(kept, given))
                if given.students
                else ""
            )
            print(
                f"{folder.parent.name[3:]:>3}  {storage:<8}{size:>8}  1/{media / size:<7.0f}"
                f"{size / pt.stat().st_size:>6.2f}"
                f"{1000 * first:>12.1f}{1000 * plain:>12.1f}     {told}",
                flush=True,
            )


def first_batch(path: Path) -> Any:
    """From the file to a batch that a network can be taught on."""
    from torch.utils.data import DataLoader

    from pipeline.artifact import read_artifact

    return next(iter(DataLoader(read_artifact(path).to_torch(), batch_size=32, shuffle=True)))


def timed(act: Callable[[], Any], rounds: int) -> float:
    """Median seconds; the first round, in which things are imported, does not count."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def accuracy(sets: list[Any], given: Any) -> tuple[float, float, float]:
    """Mean over sets and students, on the validation split: both predictions, sound, picture."""
    import math

    import torch

    from pipeline.core.params import load
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.shards.read import read_shards
    from pipeline.training import instances, loop
    from pipeline.training.students import TrainingJob

    device, means = torch.device("cpu"), EvaluationSetup.from_params(load(given.params_file))
    crew, budget = (
        means.make_trainer(means.settings.run[0], torch.device("cpu"), 1, loop.ignore_progress),
        means.settings.protocols.budget,
    )
    recipe, val = (
        budget.make_recipe(math.sqrt(budget.lowest * budget.highest)),
        read_shards(given.data / "shards" / "val"),
    )
    taught = [instances.decode_synthetic_set(synthetic, device) for synthetic in sets]
    lessons = [
        TrainingJob(data=data, recipe=recipe, name=("storage", number, student))
        for number, data in enumerate(taught)
        for student in range(given.students)
    ]

    def right(module: Any) -> tuple[float, float, float]:
        seen = loop.predict(module, val, taught[0].normalisation, device)
        both = sum(seen.values())
        return tuple(
            (p.argmax(1) == val.label).float().mean().item()
            for p in (both, seen["logmel"], seen["frame"])
        )  # type: ignore[return-value]

    found = crew.train(lessons, right)
    one, other = (sum(scores) / len(found) for scores in zip(*found, strict=True))
    return one, other


if __name__ == "__main__":
    main()
