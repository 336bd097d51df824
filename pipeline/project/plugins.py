"""Plugins from outside: of the folder that a params file names, and of installed packages.

`plugins: my_plugins` in a params file names a folder beside it; each `*.py` in it without a leading
underscore is a plugin. Installed packages name modules as entry points of the group
`avdistill.plugins`. A plugin is named as its module, and its kind is the one whose class it
defines; its source is read for that, and not run.
"""

from __future__ import annotations

import ast
import importlib
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core import params
from pipeline.core.code import find_file, parse
from pipeline.core.errors import ParamsError, PluginError
from pipeline.core.paths import join_path, list_folder, make_absolute, to_path
from pipeline.core.plugins import KINDS, OUTSIDE, list_names
from pipeline.core.presets import read_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.core.params import Params
    from pipeline.core.paths import AnyPath

GROUP = "avdistill.plugins"
CLASSES = {about.defines: kind for kind, about in KINDS.items()}
# The folder in use, if any, and its parent, if it was added to sys.path.
_folder: list[Path] = []
_added: list[str] = []


def load_params(path: AnyPath, changes: Sequence[str] = ()) -> Params:
    """Read a params file, and make the plugins from outside known, those of its folder too.

    Args:
        path: a whole params file, or a preset.
        changes: as `pipeline.core.params.load` takes them.

    Raises:
        ParamsError: the file cannot be read, or has unknown keys.
        PluginError: a row names a plugin that does not exist, or one from outside is none.
    """
    file = to_path(path)
    folder = read_values(file).get("plugins")
    if not isinstance(folder, str | None):
        raise ParamsError(f"{file}: plugins is {folder!r}, expected the path of a folder")
    use_plugins(Path(make_absolute(join_path(file.parent, folder))) if folder else None)
    return params.load(file, changes)


def use_plugins(folder: Path | None = None) -> None:
    """Make the plugins of installed packages known, and those of a folder.

    Args:
        folder: absolute; it takes the place of the folder before.

    Raises:
        PluginError: the folder has no plugins, or one of the files is broken, or has the name of
            another plugin of its kind.
    """
    found: dict[tuple[str, str], str] = {}
    try:
        _set_folder(folder)
        for module in [*_list_installed(), *(_list_modules(folder) if folder else ())]:
            kind, name = _find_kind(module), module.rpartition(".")[2]
            if (kind, name) in found or name in _list_ours(kind):
                raise PluginError(
                    f"{find_file(module)}: there is a {kind} {name!r} already; rename the file"
                )
            found[kind, name] = module
    except PluginError:
        _set_folder(None)
        found = {}
        raise
    finally:
        if found != OUTSIDE:
            OUTSIDE.clear()
            OUTSIDE.update(found)


def _list_ours(kind: str) -> set[str]:
    return {*list_names(kind)} - {name for own, name in OUTSIDE if own == kind}


@cache
def _list_installed() -> list[str]:
    """List the modules that installed packages bring, sorted."""
    return sorted({point.module for point in entry_points(group=GROUP)})


def _set_folder(folder: Path | None) -> None:
    """Make the modules of a folder importable as <folder>.<file>, those of the one before not.

    Spawned processes get sys.path, and so find them too.
    """
    wanted = [folder] if folder else []
    if wanted != _folder:
        for old in _folder:
            for name, module in [*sys.modules.items()]:
                if f"{name}.".startswith(f"{old.name}.") and _lies_in(module, old):
                    del sys.modules[name]
        sys.path[:] = [place for place in sys.path if place not in _added]
        _added[:] = {str(new.parent) for new in wanted} - set(sys.path)
        sys.path += _added
        _folder[:] = wanted
    importlib.invalidate_caches()


def _lies_in(module: object, folder: Path) -> bool:
    """Tell whether a module was imported from a folder, and not from a package of its name."""
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return Path(place).is_relative_to(folder)


def _list_modules(folder: Path) -> list[str]:
    """List the modules of a folder; they are found by the import system."""
    files = list_folder(folder, "[!_]*.py")
    if not files:
        raise PluginError(
            f"plugins: {folder} holds no file NAME.py; name the folder of your plugins, relative "
            "to the params file"
        )
    modules = [f"{folder.name}.{path.stem}" for path in files]
    if find_file(modules[0]) != files[0]:
        raise PluginError(
            f"plugins: {folder} has the name of a package that Python finds first; "
            "give the folder another name"
        )
    return modules


def _find_kind(module: str) -> str:
    """Return the kind of a module: that whose class it defines, or else imports."""
    path = find_file(module)
    if path is None:
        raise PluginError(
            f"an installed package names the plugin {module}, and there is no such module; "
            "install that package again"
        )
    body = parse(path).body
    defined = {node.name for node in body if isinstance(node, ast.ClassDef)}
    imported = {name for node in body if isinstance(node, ast.ImportFrom) for name in _names(node)}
    found = sorted(CLASSES.keys() & defined) or sorted(CLASSES.keys() & imported)
    if len(found) != 1:
        raise PluginError(
            f"{path} defines {' and '.join(found) or 'no class of a plugin'}; expected one of "
            f"{', '.join(sorted(CLASSES))}; a file beside plugins that is none begins with _"
        )
    return CLASSES[found[0]]


def _names(node: ast.ImportFrom) -> list[str]:
    return [alias.asname or alias.name for alias in node.names]
