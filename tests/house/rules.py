"""The rules that a program can check; `python -m tests.house.rules` lists what breaks them."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING

from pipeline.core import plugins
from tests.house.arrows import arrows_of, circle_in, code_lines
from tests.house.source import (
    MODULES,
    definitions,
    first_party,
    functions,
    room,
    tree_of,
)
from tests.toys.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.house.source import Definition

MOST_ARROWS, MOST_CORE_LINES, MOST_STAGE_LINES = 70, 1700, 60
MOST_WORDS, MOST_CHARACTERS, MOST_FUNCTION_LINES = 25, 100, 40
# Functions that list a folder, with all that lies in it.
LISTING = {"glob", "rglob", "iterdir", "listdir", "scandir"}
# Rooms whose public functions show an example.
WITH_EXAMPLES = {"artifact", "features", "distillation"}


def is_command(stem: str) -> bool:
    """Tell whether a file of stages/ is a command, not one that the commands share."""
    return not stem.startswith("_") and stem != "cli"


def shared_files_have_no_underscore() -> Iterator[str]:
    """`_x.py` is used in its own folder only."""
    for module in MODULES:
        for target in first_party(module):
            folder, _, name = target.rpartition(".")
            if name.startswith("_") and not f"{module}.".startswith(f"{folder}."):
                yield f"{MODULES[module].relative_to(ROOT)} imports {target}"


def private_names_stay_in_their_file() -> Iterator[str]:
    """No file imports a `_name` from another one."""
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
                for alias in node.names:
                    if alias.name.startswith("_") and f"{node.module}.{alias.name}" not in MODULES:
                        place = f"{MODULES[module].relative_to(ROOT)}:{node.lineno}"
                        yield f"{place} imports {alias.name} of {node.module}"


def rooms_have_few_arrows() -> Iterator[str]:
    """At most 70 pairs of rooms import each other."""
    if len(arrows_of()) > MOST_ARROWS:
        yield f"{len(arrows_of())} arrows between rooms, at most {MOST_ARROWS}"


def no_room_has_a_circle() -> Iterator[str]:
    """The files of a room import each other in one direction."""
    for name in sorted({room(module) for module in MODULES}):
        circle = circle_in(name)
        if circle:
            yield f"{name}: {' -> '.join(circle)}"


def core_is_small() -> Iterator[str]:
    """The ground has fewer than 1,700 lines of code; docstrings are what other rules ask for."""
    lines = code_lines()["core"]
    if lines >= MOST_CORE_LINES:
        yield f"pipeline/core has {lines} lines of code, at most {MOST_CORE_LINES - 1}"


def stages_are_thin() -> Iterator[str]:
    """A command has at most 60 lines."""
    for path in sorted((ROOT / "stages").glob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if is_command(path.stem) and lines > MOST_STAGE_LINES:
            yield f"stages/{path.name} has {lines} lines"


def functions_fit_on_a_page() -> Iterator[str]:
    """A function has at most 40 lines."""
    for each in definitions():
        if isinstance(each.node, ast.FunctionDef):
            lines = (each.node.end_lineno or 0) - each.node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                yield f"{each.place} has {lines} lines"


def identifiers_of(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node of a syntax tree introduces or uses."""
    fields = ("id", "arg", "attr", "name", "asname")
    yield from (value for field in fields if isinstance(value := getattr(node, field, None), str))


def nothing_is_told() -> Iterator[str]:
    """No identifier is `told`: it is a message, a description, a line."""
    for module, path in MODULES.items():
        for node in ast.walk(tree_of(module)):
            if "told" in identifiers_of(node):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def contract_classes(module: str) -> set[str]:
    """Return the class that a plugin's file defines because its kind asks for it."""
    folder = MODULES[module].parent.relative_to(ROOT / "pipeline")
    return {kind.defines for kind in plugins.KINDS.values() if kind.folder == str(folder)}


def class_names_are_unique() -> Iterator[str]:
    """No two classes have one name, those that plugins must define excepted."""
    places: dict[str, list[str]] = defaultdict(list)
    for each in definitions():
        if (
            isinstance(each.node, ast.ClassDef)
            and MODULES[each.module].is_relative_to(ROOT)
            and (each.module.startswith("stages") or each.name not in contract_classes(each.module))
        ):
            places[each.node.name].append(each.place)
    yield from (f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1)


def docstrings_say_what_is_done() -> Iterator[str]:
    """No docstring begins with "What", "Of" or "TODO"."""
    yield from (
        f"{each.place}: {each.docstring.splitlines()[0]}"
        for each in definitions()
        if re.match(r"(What|Of|TODO)\b", each.docstring)
    )


def first_sentences_are_short() -> Iterator[str]:
    """The first sentence of a docstring has at most 25 words."""
    for each in definitions():
        paragraph = " ".join(each.docstring.split("\n\n")[0].split())
        sentence = re.split(r"(?<=[.:;])\s", paragraph)[0]
        if len(sentence.split()) > MOST_WORDS:
            yield f"{each.place}: {len(sentence.split())} words"


def lines_fit() -> Iterator[str]:
    """Lines of Python and Markdown have at most 100 characters."""
    for name in list_texts():
        text = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > MOST_CHARACTERS and not (name.endswith(".md") and unbreakable(line)):
                yield f"{name}:{number}: {len(line)} characters"


def list_texts() -> list[str]:
    """List files of Python and Markdown: those of git, or in a download without it, all.

    The card in examples/ is left out: `avdistill convert card` writes its lines.
    """
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "--", "*.py", "*.md"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        names = done.stdout.split()
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.glob("[a-z]*/**/*.[pm][yd]")]
    return [name for name in names if not name.startswith("examples/")]


def unbreakable(line: str) -> bool:
    """Tell whether a line of Markdown cannot be broken: a table's row, or a single URL."""
    return line.startswith("|") or len(line.split()) <= 2


def arguments_of(each: Definition) -> list[str]:
    """Return the names of a function's parameters."""
    given = each.node.args  # type: ignore[union-attr]
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [argument.arg for argument in every if argument]


def parameters_are_documented() -> Iterator[str]:
    """A public function has a line for each of its parameters under `Args:`."""
    for each in functions():
        if each.module.startswith("stages.") and is_command(each.module.split(".")[1]):
            continue
        entries = re.findall(
            r"^ +([*\w][*\w, ]*):", each.docstring.partition("Args:")[2], re.MULTILINE
        )
        documented = {name.strip("* ") for entry in entries for name in entry.split(",")}
        missing = [name for name in arguments_of(each) if name not in documented]
        if missing:
            yield f"{each.place}: {', '.join(missing)}"


def folders_are_listed_in_one_place() -> Iterator[str]:
    """Only core/paths.py lists folders: its `list_folder` and `walk` pass junk over."""
    for module in MODULES.keys() - {"pipeline.core.paths"}:
        for node in ast.walk(tree_of(module)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called == "os.walk" or called.rpartition(".")[2] in LISTING:
                yield f"{MODULES[module].relative_to(ROOT)}:{node.lineno} calls {called}"


def tests_know_no_project() -> Iterator[str]:
    """No test reads params.yaml or dvc.yaml of the top folder, which are the user's."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for name in ("params", "dvc"):
            if f'ROOT / "{name}.yaml"' in path.read_text(encoding="utf-8"):
                yield f"{path.relative_to(ROOT)}: {name}.yaml"


def faces_show_examples() -> Iterator[str]:
    """Public functions of these rooms show an example."""
    for each in functions():
        parts = each.module.split(".")
        if (
            room(each.module) in WITH_EXAMPLES
            and len(parts) <= 3
            and not parts[-1].startswith("_")
            and "Example:" not in each.docstring
        ):
            yield each.place


RULES: tuple[Callable[[], Iterator[str]], ...] = (
    shared_files_have_no_underscore,
    private_names_stay_in_their_file,
    rooms_have_few_arrows,
    no_room_has_a_circle,
    core_is_small,
    stages_are_thin,
    functions_fit_on_a_page,
    nothing_is_told,
    class_names_are_unique,
    docstrings_say_what_is_done,
    first_sentences_are_short,
    lines_fit,
    parameters_are_documented,
    faces_show_examples,
    tests_know_no_project,
    folders_are_listed_in_one_place,
)

if __name__ == "__main__":
    for rule in RULES:
        places = list(rule())
        print(f"{rule.__name__}: {len(places)}", *places, sep="\n  ")
