"""Count the arrows between rooms, and the lines of each room: `python -m tests.house.arrows`."""

from __future__ import annotations

from collections import Counter, defaultdict
from graphlib import CycleError, TopologicalSorter

from tests.house.source import FLOORS, MODULES, first_party, room


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


if __name__ == "__main__":
    arrows, lines = arrows_of(), room_lines()
    print(f"{len(arrows)} arrows between rooms, {sum(lines.values())} lines")
    for rooms in FLOORS:
        for name in sorted(rooms & lines.keys()):
            targets = sorted(to for source, to in arrows if source == name)
            print(f"{name:<14}{lines[name]:>6} lines  -> {', '.join(targets)}")
