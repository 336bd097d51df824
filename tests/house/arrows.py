"""Count the arrows between rooms, and the lines of each room: `python -m tests.house.arrows`."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter

from tests.house.source import FLOORS, MODULES, first_party, room

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def arrows_of() -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Return (room, room that it imports) -> the pairs of modules of these imports."""
    arrows = defaultdict(set)
    for module in MODULES:
        for target in first_party(module, at_run_time=True):
            if room(target) != room(module):
                arrows[room(module), room(target)].add((module, target))
    return dict(arrows)


def circle_in(name: str) -> list[str]:
    """Return modules of a room that import each other in a circle, [] if there are none."""
    inside = {module for module in MODULES if room(module) == name}
    graph = {module: first_party(module, at_run_time=True) & inside - {module} for module in inside}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room_lines() -> Counter[str]:
    """Count the lines of each room."""
    lines: Counter[str] = Counter()
    for module, path in MODULES.items():
        lines[room(module).split(".")[0]] += len(path.read_text(encoding="utf-8").splitlines())
    return lines


def code_lines() -> Counter[str]:
    """Count the lines of code of each room: no docstring, no comment, no blank line."""
    lines: Counter[str] = Counter()
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        used: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in NO_CODE:
                used.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
                first = node.body[0]
                used.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
        lines[room(module).split(".")[0]] += len(used)
    return lines


if __name__ == "__main__":
    arrows, lines, code = arrows_of(), room_lines(), code_lines()
    total = f"{sum(lines.values())} lines, {sum(code.values())} of code"
    print(f"{len(arrows)} arrows between rooms, {total}")
    for rooms in FLOORS:
        for name in sorted(rooms & lines.keys()):
            targets = sorted(to for source, to in arrows if source == name)
            counts = f"{lines[name]:>6} lines {code[name]:>6} of code"
            print(f"{name:<14}{counts}  -> {', '.join(targets)}")
