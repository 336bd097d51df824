"""The modules of the project as syntax trees: rooms, floors, imports, functions and docstrings."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tests.toys.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Top to bottom; rooms of one floor do not import each other.
FLOORS = [
    {"avdistill"},
    {"stages.__main__"},
    {"stages.cli"},
    {"stages"},
    {"kd", "prototypes", "report"},
    {"distillation"},
    {"evaluation"},
    {"artifact", "features"},
    {"datasets", "shards", "training"},
    {"coresets", "media", "models", "project"},
    {"core"},
]
PACKAGES = ("avdistill", "pipeline", "stages")


def module_of(path: Path) -> str:
    """Return the dotted name of a file, e.g. pipeline.core.files."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_of(path): path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))
}


def room(module: str) -> str:
    """Return the room of a module; `stages` is one, and its command line stands above it."""
    parts = module.split(".")
    if parts[0] == "pipeline" and len(parts) > 1:
        return parts[1]
    return module if {module} in FLOORS else parts[0]


def floor(module: str) -> int:
    """Return the number of a module's floor, 0 at the top."""
    return next(level for level, rooms in enumerate(FLOORS) if room(module) in rooms)


@cache
def tree_of(module: str) -> ast.Module:
    """Parse a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str, at_run_time: bool = False) -> frozenset[str]:
    """Return the modules that a module imports.

    Args:
        module: dotted name.
        at_run_time: leave out the imports under TYPE_CHECKING.
    """
    idle = {
        node
        for block in ast.walk(tree_of(module))
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if at_run_time and node in idle:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            named = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in MODULES else node.module for name in named)
    return frozenset(found)


def first_party(module: str, at_run_time: bool = False) -> set[str]:
    """Return the modules of the project that a module imports, see `imports`."""
    return {name for name in imports(module, at_run_time) if name.split(".")[0] in PACKAGES} - set(
        PACKAGES
    )


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A module, class or function with the place where it is defined.

    Args:
        module: dotted name.
        name: within the module, e.g. "Cell.build"; "" for the module itself.
        node: its syntax tree.
    """

    module: str
    name: str
    node: ast.Module | ast.ClassDef | ast.FunctionDef

    @property
    def docstring(self) -> str:
        """Its docstring, "" without one."""
        return ast.get_docstring(self.node) or ""

    @property
    def place(self) -> str:
        """Its place as `path:line name`."""
        path = MODULES[self.module].relative_to(ROOT)
        return f"{path}:{getattr(self.node, 'lineno', 1)} {self.name}".strip()


def definitions() -> Iterator[Definition]:
    """Yield every module, class and function."""
    for module in MODULES:
        tree = tree_of(module)
        yield Definition(module=module, name="", node=tree)
        yield from _inside(module, "", tree)


def _inside(module: str, prefix: str, node: ast.AST) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            name = f"{prefix}{child.name}"
            yield Definition(module=module, name=name, node=child)
            yield from _inside(module, f"{name}.", child)
        elif not isinstance(child, ast.expr):
            yield from _inside(module, prefix, child)


def functions() -> Iterator[Definition]:
    """Yield the public functions of modules; methods and commands of the line are none."""
    for each in definitions():
        if (
            isinstance(each.node, ast.FunctionDef)
            and "." not in each.name
            and not each.name.startswith("_")
        ):
            yield each
