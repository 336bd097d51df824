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
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    media = sum(
        path.stat().st_size for path in (args.data / "media" / "train").rglob("*") if path.is_file()
    )
    shards = sum(path.stat().st_size for path in (args.data / "shards" / "train").glob("*.tar"))
    print(f"training media {media / 1e6:.1f} MB, shards {shards / 1e6:.1f} MB")
    print("ipc  storage   bytes  of media  of .pt  first batch ms  (.pt ms)  accuracy av / a / v")
    for folder in sorted(
        args.method.glob("ipc*/synthetic"), key=lambda path: int(path.parent.name[3:])
    ):
        print_storages(folder, media, args)


def print_storages(folder: Path, media: int, args: Any) -> None:
    """Print a line per storage type for the sets of one IPC.

    Args:
        folder: the folder `synthetic` of the cell.
        media: bytes of the training media.
        args: of the command line.
    """
    import torch

    from pipeline.artifact import ExportSettings, read_artifact, write_artifact
    from pipeline.core.tensors import load_synthetic

    sets = [load_synthetic(path) for path in sorted(folder.glob("seed*.safetensors"))]
    with tempfile.TemporaryDirectory() as scratch:
        pt, path = Path(scratch) / "set.pt", Path(scratch) / "set.h5"
        torch.save(sets[0].columns, pt)
        plain = time_calls(lambda: torch.load(pt, weights_only=True), args.rounds)
        for storage in STORAGES:
            stored = []
            for synthetic in sets:
                write_artifact(path, synthetic, ExportSettings(storage=storage))
                stored.append(read_artifact(path).synthetic)
            size = path.stat().st_size
            first = time_calls(lambda: load_first_batch(path), args.rounds)
            accuracies = (
                " / ".join(f"{100 * value:.1f}" for value in measure_accuracy(stored, args))
                if args.students
                else ""
            )
            print(
                f"{folder.parent.name[3:]:>3}  {storage:<8}{size:>8}  1/{media / size:<7.0f}"
                f"{size / pt.stat().st_size:>6.2f}"
                f"{1000 * first:>12.1f}{1000 * plain:>12.1f}     {accuracies}",
                flush=True,
            )


def load_first_batch(path: Path) -> Any:
    """Read an artifact and return a batch that a network can be trained on."""
    from torch.utils.data import DataLoader

    from pipeline.artifact import read_artifact

    return next(iter(DataLoader(read_artifact(path).to_torch(), batch_size=32, shuffle=True)))


def time_calls(function: Callable[[], Any], rounds: int) -> float:
    """Return the median seconds of a call; the first round, with its imports, does not count."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def measure_accuracy(sets: list[Any], args: Any) -> tuple[float, float, float]:
    """Return the accuracy on the validation split, the mean over sets and students.

    The three are of both modalities, sound and picture.
    """
    import math

    import torch

    from pipeline.core.params import load
    from pipeline.evaluation.setup import EvaluationSetup
    from pipeline.shards.read import read_shards
    from pipeline.training import instances, loop
    from pipeline.training.students import TrainingJob

    device, setup = torch.device("cpu"), EvaluationSetup.from_params(load(args.params_file))
    trainer = setup.make_trainer(setup.settings.run[0], device, 1, loop.ignore_progress)
    budget = setup.settings.protocols.budget
    recipe = budget.make_recipe(math.sqrt(budget.lowest * budget.highest))
    val = read_shards(args.data / "shards" / "val")
    decoded = [instances.decode_synthetic_set(synthetic, device) for synthetic in sets]
    jobs = [
        TrainingJob(data=data, recipe=recipe, name=("storage", number, student))
        for number, data in enumerate(decoded)
        for student in range(args.students)
    ]

    def measure(module: Any) -> tuple[float, float, float]:
        probabilities = loop.predict(module, val, decoded[0].normalisation, device)
        both = sum(probabilities.values())
        return tuple(
            (p.argmax(1) == val.label).float().mean().item()
            for p in (both, probabilities["logmel"], probabilities["frame"])
        )  # type: ignore[return-value]

    results = trainer.train(jobs, measure)
    both, sound, picture = (sum(scores) / len(results) for scores in zip(*results, strict=True))
    return both, sound, picture


if __name__ == "__main__":
    main()
