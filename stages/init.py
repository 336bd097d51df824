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
    from shlex import quote

    from pipeline.project import create_project

    names = dict.fromkeys(name.split("/")[0] for name in create_project(folder, preset, force))
    enter = "" if folder == Path() else f"cd {quote(str(folder))} && "
    return f"{', '.join(names)} -> {folder}\nnext: {enter}dvc repro"
