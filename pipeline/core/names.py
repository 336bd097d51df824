"""Names of rows: they become folders, stages of DVC, and keys of `--set`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = re.compile(r"[^\W_][\w-]{0,63}")
# Section -> folders that dvc.yaml has beside those of its rows.
TAKEN = {"distill": {"coreset", "experts"}}


def read_name(name: Any) -> Any:
    """Return a name as text: YAML reads 2025 as a number.

    Args:
        name: as YAML reads it; other values than whole numbers are returned as they are.
    """
    return str(name) if type(name) is int else name


def refuse_bad_names(section: str, names: Iterable[Any], where: str) -> None:
    """Raise a ParamsError if rows cannot have their names.

    Args:
        section: the section of the rows.
        names: of the rows.
        where: the file, for the message.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str):
            problem = "is no text; quote it"
        elif not NAME.fullmatch(name):
            better = re.sub(r"\W+", "-", name).strip("-_")[:64] or "mine"
            problem = "cannot be a name, as folders and stages of DVC are called so; take at most "
            problem += f"64 letters, digits, - and _, for example {better}"
        elif name in TAKEN.get(section, ()):
            problem = f"is a folder of dvc.yaml already; take {name}-1, for example"
        elif name.casefold() in seen:
            problem = f"differs from {seen[name.casefold()]!r} in case alone; rename one of them"
        else:
            seen[name.casefold()] = name
            continue
        raise ParamsError(f"{where}: {section}: {name!r} {problem}")
