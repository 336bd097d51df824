"""Projects: a folder with params.yaml, dvc.yaml and the files of DVC; plugins from outside."""

from pipeline.project.checks import refuse_unfit
from pipeline.project.create import (
    FILES,
    create_project,
    describe_next,
    describe_presets,
    render_params,
)
from pipeline.project.plugins import load_params, use_plugins

__all__ = [
    "FILES",
    "create_project",
    "describe_next",
    "describe_presets",
    "load_params",
    "refuse_unfit",
    "render_params",
    "use_plugins",
]
