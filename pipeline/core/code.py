"""Digest of the code that a result depends on: modules, all that they import, and plugins in use.

It names kept scores and unfinished work, and tells DVC which stages are stale. Comments, docstrings
and layout do not count. Nor does a plugin that is not in use: plugins are imported by name at
run time, so no import statement leads to them.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec, resolve_name
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import PluginError
from pipeline.core.files import digest_of, file_digest
from pipeline.core.paths import walk
from pipeline.core.plugins import OUTSIDE, find_used

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.core.params import Params

# The folder that the packages lie in: a clone, or site-packages.
ROOT = Path(__file__).parents[2]


def digest_code(modules: Iterable[str], plugins: Iterable[Any] = ()) -> str:
    """Return the SHA-256 of modules, of all that they import, and of `templates` beside them.

    Args:
        modules: names, e.g. of a stage and of the plugins that its params name.
        plugins: objects; the modules of their classes count too.
    """
    closure = find_closure(modules, {type(plugin).__module__ for plugin in plugins})
    code = [[name, _read(path)[0]] for name, path in sorted(closure.items())]
    ours = [path for path in closure.values() if path.is_relative_to(ROOT)]
    folders = {path.parent / "templates" for path in ours}
    files = sorted(p / name for folder in folders for p, names in walk(folder) for name in names)
    templates = [[file.relative_to(ROOT).as_posix(), file_digest(file)] for file in files]
    return digest_of([code, templates])


def digest_with_plugins(
    module: str, params: Params, rows: Sequence[str] = (), values: Any = ()
) -> str:
    """Return the SHA-256 of a module's code, of values, and of the plugins that they name.

    Values count as they are after overlaying: a params file may leave out those that are packaged.

    Args:
        module: dotted name.
        params: the params file.
        rows: e.g. "distill.jcf-hard".
        values: further values, which may name rows, e.g. the section `evaluate`.

    Raises:
        ParamsError: a row is missing.
        PluginError: a row's plugin is missing.
    """
    used = find_used(params, rows, values)
    named = {row: params.get_section(row) for row in used}
    return digest_of([digest_code([module, *used.values()]), named, values])


def find_closure(modules: Iterable[str], plugins: Iterable[str] = ()) -> dict[str, Path]:
    """Return name -> file for these modules and all that they import, in functions too.

    Imports of other packages are left out, and so are those for type checkers. The packages that a
    module lies in are imported with it.

    Args:
        modules: dotted names.
        plugins: dotted names of plugins' modules; those of other packages than avdistill's, or than
            a plugin's from outside, are left out.
    """
    packages = {name.partition(".")[0] for name in [*modules, *OUTSIDE.values(), __name__]}
    waiting = [*modules, *plugins]
    closure: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        if name in closure or name.partition(".")[0] not in packages:
            continue
        if path := find_file(name):
            closure[name] = path
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            imported = (resolve_name(each, package) for each in _read(path)[1])
            waiting += [name.rpartition(".")[0], *imported]
    return closure


def find_file(module: str) -> Path | None:
    """Return the file of a module, which is not imported; None where there is none.

    Args:
        module: dotted name; avdistill's own lie in ROOT, also where Python finds others.
    """
    package, *parts = module.split(".")
    places = [str(ROOT / package)]
    if not (ROOT / package / "__init__.py").exists() and (spec := find_spec(package)):
        places = list(spec.submodule_search_locations or [(spec.origin or "").removesuffix(".py")])
    stems = [Path(place, *parts) for place in places]
    files = ((stem / "__init__.py", stem.with_name(f"{stem.name}.py")) for stem in stems)
    return next(filter(Path.is_file, chain.from_iterable(files)), None)


def parse(path: Path) -> ast.Module:
    """Parse a module.

    Args:
        path: its file.

    Raises:
        PluginError: it is no Python, as only a file from outside can be.
    """
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else error
        raise PluginError(f"{path} is no Python ({line}); correct it") from error


def _read(path: Path) -> tuple[str, frozenset[str]]:
    """Return the digest of a module's code, and the names that it imports."""
    about = path.stat()
    return _parse(path, about.st_mtime_ns, about.st_size)


@cache
def _parse(path: Path, modified_ns: int, size: int) -> tuple[str, frozenset[str]]:
    """As `_read`; a file whose time or size differs is parsed again."""
    tree = parse(path)
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, block, None), list):
                setattr(node, block, [part for part in statements if not _is_idle(part)])
    return digest_of(ast.dump(tree, annotate_fields=False)), frozenset(_list_imports(tree))


def _is_idle(node: ast.stmt) -> bool:
    """Whether a statement does nothing at run time: a docstring, or imports for type checkers."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _list_imports(tree: ast.Module) -> Iterator[str]:
    """Yield the names of imported modules; for `from a import b` a, and a.b, which may be one.

    Those of `from . import b` begin with dots.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (base, *(f"{base}{'.' * bool(node.module)}{a.name}" for a in node.names))
