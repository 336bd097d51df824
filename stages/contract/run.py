"""Check plugins, a line per fact."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pipeline.core import plugins
from pipeline.core.errors import PipelineError, PluginError
from pipeline.core.params import from_values
from pipeline.project import load_params
from stages.contract import data, every, files, methods, models, scores, teachers
from stages.contract.subject import (
    BrokenFactError,
    Subject,
    UntriedError,
    build_row,
    expect,
    shrink,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.core.params import Params
    from stages.contract.subject import Check

HELD, FAILED, UNTRIED = "ok", "FAILED", "untried"
ABOUT = "Check that plugins keep the contract of their kind, on small toys. A line per fact."


def check_tasks(subject: Subject) -> None:
    """Check that it yields each task with its result, once."""
    tasks = ["a", "bb", "ccc"]
    limits = {"deadline_s": 60.0, "memory_mb": 2048, "recycle": 100}
    found = sorted(subject.plugin.work(len, [tasks[:1], tasks[1:]], **limits))
    expect(found == [(task, len(task)) for task in tasks], f"{found}", "each task, and its length")


# kind -> its facts, beside those of every plugin
FACTS: dict[str, tuple[Check, ...]] = {
    "adapter": data.ADAPTER_FACTS,
    "engine": (check_tasks,),
    "exporter": files.EXPORTER_FACTS,
    "extractor": data.EXTRACTOR_FACTS,
    "head": models.HEAD_FACTS,
    "importer": files.IMPORTER_FACTS,
    "kd method": teachers.FACTS,
    "method": methods.FACTS,
    "metric": scores.METRIC_FACTS,
    "network": models.NETWORK_FACTS,
    "selector": data.SELECTOR_FACTS,
    "task": scores.TASK_FACTS,
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of one check.

    Args:
        plugin: kind and name.
        fact: that was checked.
        outcome: HELD, FAILED or UNTRIED.
        reason: why it is not HELD.
    """

    plugin: str
    fact: str
    outcome: str
    reason: str = ""

    def __str__(self) -> str:
        """Return the line that is printed."""
        reason = f": {' '.join(self.reason.split())}" if self.reason else ""
        return f"{self.outcome:8}{self.plugin}: {self.fact}{reason}"


def facts_of(kind: str) -> tuple[Check, ...]:
    """Return the checks of a kind.

    Args:
        kind: a key of KINDS.
    """
    return (*every.FACTS, *FACTS[kind])


def spell(check: Check) -> str:
    """Return the fact that a check is about.

    Args:
        check: one of `facts_of`.
    """
    sentence = " ".join(str(check.__doc__).split())
    return sentence.removeprefix("Check that ").removesuffix(".")


def examine(
    kind: str, name: str, params: Params, folder: Path, root: Path | None = None
) -> Iterator[Verdict]:
    """Yield a verdict for each fact of a plugin.

    Args:
        kind: a key of KINDS.
        name: the plugin's.
        params: the params file.
        folder: empty, for files.
        root: of a dataset or a published file, for plugins that read one.
    """
    about = f"{kind} {name}"
    try:
        plugin = shrink(build_row(kind, name, params))
    except Exception as error:  # a plugin may raise any
        yield Verdict(plugin=about, fact="params build it", outcome=FAILED, reason=_read(error))
        return
    yield Verdict(plugin=about, fact="params build it", outcome=HELD)
    subject = Subject(kind=kind, name=name, plugin=plugin, params=params, folder=folder, root=root)
    for check in facts_of(kind):
        outcome, reason = HELD, ""
        try:
            check(subject)
        except UntriedError as error:
            outcome, reason = UNTRIED, str(error)
        except Exception as error:
            outcome, reason = FAILED, _read(error)
        yield Verdict(plugin=about, fact=spell(check), outcome=outcome, reason=reason)


def _read(error: Exception) -> str:
    known = isinstance(error, BrokenFactError | PipelineError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def find_plugins(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return kind and name of the plugins of some names, by default of all from outside.

    Args:
        names: of plugins.

    Raises:
        PluginError: there is none of a name, or none from outside.
    """
    if not names:
        if not plugins.OUTSIDE:
            raise PluginError(
                "there is no plugin from outside; name a folder with `plugins:` in params.yaml, "
                "or a plugin of avdistill's"
            )
        return sorted(plugins.OUTSIDE)
    known = {kind: plugins.list_names(kind) for kind in plugins.KINDS}
    missing = [name for name in names if not any(name in each for each in known.values())]
    if missing:
        raise PluginError(f"no plugin named {missing[0]!r}; `avdistill list KIND` shows them")
    return [(kind, name) for name in names for kind in known if name in known[kind]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per fact, and return 1 if one does not hold.

    Args:
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser("python -m avdistill.contract", description=ABOUT)
    parser.add_argument("names", nargs="*", help="plugins; by default all from outside")
    parser.add_argument("--params-file", help="by default params.yaml, if there is one")
    parser.add_argument("--root", type=Path, help="files that an adapter or importer reads")
    given = parser.parse_args(arguments)
    try:
        file = given.params_file or ("params.yaml" if Path("params.yaml").exists() else "")
        params = load_params(file) if file else from_values({}, "params.yaml")
        found = find_plugins(given.names)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    torch.set_num_threads(1)
    failed = facts = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind, name in found:
            for verdict in examine(kind, name, params, Path(folder), given.root):
                print(verdict, flush=True)
                facts, failed = facts + 1, failed + (verdict.outcome == FAILED)
    print(f"{failed} of {facts} facts fail" if failed else f"none of {facts} facts fails")
    return int(bool(failed))
