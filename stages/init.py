"""packaged files -> a new project"""

from __future__ import annotations

from pathlib import Path


def init(folder: Path = Path(), *, preset: tuple[str, ...] = (), force: bool = False) -> str:
    """Write a project's files: params.yaml, dvc.yaml, .dvc, .dvcignore and .gitignore.

    FOLDER is new or exists already, by default the one you are in; it becomes a git repository
    unless it is in one. --preset NAME merges a preset into params.yaml; several are merged in
    their order. A NAME that ends in .yaml is a file of yours. --force overwrites files.

    The presets:

    {presets}

    Example: avdistill init mine --preset small
    """
    from pipeline.project import create_project, describe_next

    names = dict.fromkeys(name.split("/")[0] for name in create_project(folder, preset, force))
    return f"{', '.join(names)} -> {folder}\nnext: {describe_next(folder)}"
