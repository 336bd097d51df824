"""A new project's folder: params.yaml, dvc.yaml and DVC's files, from those that are packaged."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import OutputError
from pipeline.core.params import Params
from pipeline.core.paths import list_folder, to_path
from pipeline.core.presets import PACKAGED, find_preset, overlay, read_packaged, read_values
from pipeline.project.checks import refuse_unfit
from pipeline.project.yaml_patch import patch_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.core.paths import AnyPath

PARAMS, GIT = "params.yaml", ".git"
# A project's file -> its packaged name. Git and DVC obey a .gitignore or dvc.yaml wherever they
# find one, so none is packaged by its own name.
FILES = {
    PARAMS: PARAMS,
    "dvc.yaml": "graph.yaml",
    ".dvc/config": "dvc/config",
    ".dvc/.gitignore": "dvc/gitignore",
    ".dvcignore": "dvcignore",
    ".gitignore": "gitignore",
    **{
        f".dvc/plots/{path.name}": f"dvc/plots/{path.name}"
        for path in list_folder(PACKAGED / "dvc/plots", "*.json")
    },
}


def create_project(folder: AnyPath, presets: Sequence[str], force: bool = False) -> list[str]:
    """Write a project's files into a new or existing folder, and make it a git repository.

    Args:
        folder: the folder.
        presets: names of presets, or paths of other ones; later ones overlay earlier ones.
        force: overwrite files.

    Returns:
        The files, relative to the folder.

    Raises:
        ParamsError: a preset does not exist or does not fit the packaged params.yaml.
        PluginError: a row names a plugin that does not exist.
        OutputError: files are in the way, the folder cannot be written, or git is missing.
    """
    folder = to_path(folder)
    params = render_params(presets)
    _refuse_occupied(folder, force)
    needs_git = not any((parent / GIT).exists() for parent in _with_parents(folder))
    if needs_git and not shutil.which("git"):
        raise OutputError(
            f"{folder} is in no git repository, which DVC needs, and git is not installed; "
            "install git, then run the same command again"
        )
    staging = folder / ".init.part" if folder.exists() else folder.with_name(f"{folder.name}.part")
    try:
        _write_files(staging, params)
        if needs_git:
            subprocess.run(["git", "init", "--quiet"], cwd=staging, check=True)
        if folder.exists():
            _move([*FILES, *[GIT] * needs_git], staging, folder)
        else:
            os.replace(staging, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder} cannot be written ({reason}); name another folder") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return list(FILES)


def render_params(presets: Sequence[str]) -> str:
    """Return the packaged params.yaml with presets merged in; its comments stay.

    Args:
        presets: see `create_project`.

    Raises:
        ParamsError: a preset does not exist or does not fit the packaged params.yaml.
        PluginError: a row names a plugin that does not exist.
    """
    values: Mapping[str, Any] = read_packaged()
    heads = []
    for path in map(find_preset, presets):
        values = overlay(values, read_values(path), path.name)
        refuse_unfit(Params(name=path.name, values=dict(values)))
        heads.append(f"# Preset {path.stem}:\n{_read_head(path)}\n")
    return "".join(heads) + patch_yaml((PACKAGED / PARAMS).read_text(encoding="utf-8"), values)


def describe_next(folder: AnyPath) -> str:
    """Return the commands that run a new project, and where its grid expects clips.

    Args:
        folder: the project's folder.
    """
    folder = to_path(folder)
    here = folder.absolute() == Path.cwd()
    command = "dvc repro" if here else f"cd {quote(str(folder))} && dvc repro"
    datasets = read_values(folder / PARAMS)["grid"]["datasets"]
    if datasets == read_packaged()["grid"]["datasets"]:
        return command
    return (
        f"{command}, with clips in data/<name>/media of each name in grid.datasets "
        f"({', '.join(map(str, datasets))}); name your own there"
    )


def describe_presets() -> list[str]:
    """Return a line for each packaged preset: its name, and the first sentence of its file."""
    paths = list_folder(PACKAGED / "presets", "*.yaml")
    return [f"{path.stem}: {_read_head(path).splitlines()[0].lstrip('# ')}" for path in paths]


def _with_parents(folder: Path) -> Sequence[Path]:
    """Return a folder and the folders above it, from the inside out."""
    absolute = folder.absolute()
    return [absolute, *absolute.parents]


def _refuse_occupied(folder: Path, force: bool) -> None:
    """Raise an OutputError if files are in the way, or the folder cannot be written."""
    nearest = next(parent for parent in _with_parents(folder) if os.path.lexists(parent))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise OutputError(
            f"{folder} cannot be written, {nearest} is not a folder that you may write to; "
            "name another folder"
        )
    existing = [name for name in FILES if os.path.lexists(folder / name)]
    if existing and not force:
        raise OutputError(
            f"{folder} has {', '.join(existing)} already; name another folder, "
            "or overwrite with --force"
        )
    if any((folder / name).is_dir() for name in existing):
        raise OutputError(f"{folder} has a folder in place of a file; name another folder")


def _write_files(staging: Path, params: str) -> None:
    for name, packaged in FILES.items():
        text = params if name == PARAMS else (PACKAGED / packaged).read_text(encoding="utf-8")
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).write_text(text, encoding="utf-8")


def _move(names: Iterable[str], staging: Path, folder: Path) -> None:
    """Move files into the folder, or none of them; those that they replace are kept until then."""
    moved: list[tuple[Path, Path]] = []
    try:
        for name in names:
            kept, target = staging / "replaced" / name, folder / name
            for parent in (kept.parent, target.parent):
                parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                os.replace(target, kept)
                moved.append((kept, target))
            os.replace(staging / name, target)
            moved.append((target, staging / name))
    except OSError:
        for source, target in reversed(moved):
            os.replace(source, target)
        raise


def _read_head(path: Path) -> str:
    """Return the comment at the top of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(
        (number for number, line in enumerate(lines) if not line.startswith("#")), len(lines)
    )
    return "\n".join(lines[:end])
