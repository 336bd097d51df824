"""Projects: a new folder with params.yaml, dvc.yaml and the files of DVC."""

from pipeline.project.create import FILES, create_project, describe_presets, render_params

__all__ = ["FILES", "create_project", "describe_presets", "render_params"]
