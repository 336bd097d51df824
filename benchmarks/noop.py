"""Seconds of a `dvc repro` that has nothing to do.

    python benchmarks/noop.py [--rows 100000] [--rounds 3]

In a copy of the project the graph runs once at toy size. Then a manifest of many rows replaces its
manifest, `dvc commit` accepts it as it is, and `dvc repro` is timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from decode import HOME
from ruamel.yaml import YAML

# The values of tests/toys/commands.py, at which the line takes seconds.
TOY = {"train": 6, "val": 1, "test": 1}


def main() -> None:
    """Prepare, check that nothing is run, and print the wall seconds of each round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "project"
        left_out = (
            ".git",
            ".venv",
            "data",
            "work",
            "report",
            "tmp",
            "cache",
            "*.egg-info",
            "__pycache__",
            ".work",
        )
        shutil.copytree(HOME, place, ignore=shutil.ignore_patterns(*left_out))
        shrink(place / "params.yaml")
        for command in (
            "git init -q",
            "git add -A",
            "git -c user.name=b -c user.email=b@b commit -qm b",
            "dvc repro -q",
        ):
            call(place, command)
        lengthen(place / "data" / "generated" / "manifest.csv", given.rows)
        call(place, "dvc commit -q -f ingest@generated decode@generated")
        for number in range(1, given.rounds + 1):
            before = time.perf_counter()
            told = call(place, "dvc repro")
            print(
                f"round {number}: {time.perf_counter() - before:.2f} s, {given.rows} rows",
                flush=True,
            )
            if "Running stage" in told:
                sys.exit(f"something was run:\n{told}")


def shrink(path: Path) -> None:
    """The toy values into a params file."""
    yaml = YAML(typ="rt")
    values = yaml.load(path)
    values["grid"].update(methods=["herding"], ipcs=[1], seeds=[0])
    values["ingest"]["generated"].update(TOY)
    values["extract"]["convnet"]["steps"] = 5
    values["evaluate"]["protocols"]["budget"].update(steps=4, trials=1)
    values["evaluate"]["protocols"]["avdd"].update(epochs=3, milestones=[1, 2])
    values["evaluate"]["run"] = values["evaluate"]["run"][:1]
    with path.open("w") as stream:
        yaml.dump(values, stream)


def lengthen(path: Path, rows: int) -> None:
    """A manifest of so many rows, the first one's over and over under new ids."""
    header, *lines = path.read_text().splitlines()
    rest = lines[0].partition(",")[2]
    path.chmod(0o644)
    path.unlink()
    path.write_text("\n".join([header, *(f"clip{i:07d},{rest}" for i in range(rows))]) + "\n")


def call(place: Path, command: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
    }
    result = subprocess.run(
        command.split(), cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
