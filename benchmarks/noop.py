"""Measure the seconds of a `dvc repro` that has nothing to do.

    python benchmarks/noop.py [--rows 100000] [--rounds 3]

In a copy of the project the graph runs once at toy size. Then a manifest of many rows replaces its
manifest, `dvc commit` records it, and `dvc repro` is timed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from decode import HOME
from ruamel.yaml import YAML

# As in tests/toys/commands.py, so that the whole graph takes seconds.
TOY = {"train": 6, "val": 1, "test": 1}
# The stage that runs every time; it writes the digests of the code.
ALWAYS = "code"
# Files that are not copied.
EXCLUDED = (
    *(".git", ".venv", ".work", "data", "work", "report", "tmp", "cache"),
    *("*.egg-info", "__pycache__"),
)


def main() -> None:
    """Prepare the project and print the wall seconds of each round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "project"
        shutil.copytree(HOME, project, ignore=shutil.ignore_patterns(*EXCLUDED))
        shrink(project / "params.yaml")
        for command in (
            "git init -q",
            "git add -A",
            "git -c user.name=b -c user.email=b@b commit -qm b",
            "dvc repro -q",
        ):
            call(project, command)
        lengthen(project / "data" / "generated" / "manifest.csv", args.rows)
        call(project, "dvc commit -q -f ingest@generated decode@generated")
        for number in range(1, args.rounds + 1):
            before = time.perf_counter()
            output = call(project, "dvc repro")
            print(
                f"round {number}: {time.perf_counter() - before:.2f} s, {args.rows} rows",
                flush=True,
            )
            if set(re.findall(r"Running stage '(.+)'", output)) - {ALWAYS}:
                sys.exit(f"dvc repro ran stages, expected {ALWAYS} alone:\n{output}")


def shrink(path: Path) -> None:
    """Write the toy values into a params file."""
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
    """Replace a manifest by one of so many rows: its first row under ever new ids."""
    header, *lines = path.read_text().splitlines()
    rest = lines[0].partition(",")[2]
    path.chmod(0o644)
    path.unlink()
    path.write_text("\n".join([header, *(f"clip{i:07d},{rest}" for i in range(rows))]) + "\n")


def call(project: Path, command: str) -> str:
    """Run a command in the project and return its output; end the program if it fails."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
    }
    result = subprocess.run(
        command.split(), cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
