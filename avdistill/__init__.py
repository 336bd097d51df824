"""The public API: read, check and show artifacts, and prepare clips for models trained on them.

`python -m avdistill` is the command line. The library is the package `pipeline`, and the commands
are the package `stages`; this package finds both beside itself, wherever Python is started.
"""

from __future__ import annotations

import sys
import warnings
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from pipeline.artifact import Artifact
    from pipeline.artifact.clips import ClipSamples
    from pipeline.artifact.inspection import Finding

__all__ = ["__version__", "inspect", "preprocess", "read_artifact", "verify"]

_ROOT = Path(__file__).resolve().parent.parent


def _load_package(name: str) -> Any:
    """Import a package of this installation, also where another one of its name comes first.

    Args:
        name: pipeline or stages.

    Raises:
        ImportError: the program has imported another package of this name already.
    """
    file = _ROOT / name / "__init__.py"
    loaded = sys.modules.get(name)
    if loaded is not None:
        other = getattr(loaded, "__file__", None) or str(list(getattr(loaded, "__path__", [])))
        if Path(other).resolve() != file:
            raise ImportError(
                f"this program has imported {other}, and avdistill needs its own package of the "
                f"name {name}; rename the other one, or use avdistill in a program without it"
            )
        return loaded
    spec = spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)])
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _warn_of_hidden_packages(*names: str) -> None:
    """Name packages of the program's own folders that this installation's packages hide.

    Args:
        names: pipeline and stages.
    """
    specs = [PathFinder.find_spec(name) for name in names if name not in sys.modules]
    origins = [spec.origin for spec in specs if spec and spec.origin]
    hidden = [origin for origin in origins if not Path(origin).resolve().is_relative_to(_ROOT)]
    if hidden and sys.argv[:1] != ["-m"]:  # as `python -m avdistill` the whole program is ours
        warnings.warn(
            f"avdistill's packages of the same name hide {' and '.join(hidden)} in this program; "
            "rename them if you import them here",
            stacklevel=3,
        )


_warn_of_hidden_packages("pipeline", "stages")
__version__: str = _load_package("pipeline").__version__
_load_package("stages")


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Read an artifact: arrays, labels, origin and scores; `.to_torch()` is a dataset for PyTorch.

    Args:
        path: an .h5 file.

    Raises:
        ArtifactError: the file is damaged, or is no artifact.
    """
    from pipeline.artifact import read_artifact as read

    return read(Path(path))


def verify(path: str | os.PathLike[str]) -> list[Finding]:
    """Check an artifact from a source that you do not trust, in a process of its own.

    Args:
        path: an .h5 file.

    Returns:
        Findings with `severity` and `text`; an intact file has none that is CRITICAL.
    """
    from pipeline.artifact.inspection import verify_files

    ((_, findings),) = verify_files([Path(path)])
    return findings


def inspect(path: str | os.PathLike[str]) -> str:
    """Return the page that `avdistill inspect` prints: content, origin, licence, method, scores.

    Args:
        path: an .h5 file.

    Raises:
        ArtifactError: the file is damaged, or is no artifact.
    """
    from pipeline.artifact.inspection import refuse_damaged, render_page

    refuse_damaged(Path(path))
    return render_page(Path(path))


def preprocess(
    artifact: Artifact | str | os.PathLike[str], clip: str | os.PathLike[str]
) -> ClipSamples:
    """Make samples of a clip of your own, as those behind an artifact were made.

    Args:
        artifact: an .h5 file, or what `read_artifact` returned.
        clip: a media file.

    Returns:
        `rows`, modality -> float32 [seconds, ...] as a network takes them, and `seconds`.

    Raises:
        ArtifactError: the artifact does not hold its preprocessing.
        MediaError: the clip cannot be decoded, lacks a stream, or has no whole second.
    """
    from pipeline.artifact import Artifact as Read

    held = artifact if isinstance(artifact, Read) else read_artifact(artifact)
    return held.preprocess(clip)
