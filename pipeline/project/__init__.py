"""A new project's folder: params.yaml, dvc.yaml and DVC's files, from those that are packaged."""
