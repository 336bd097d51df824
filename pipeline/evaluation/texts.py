"""How scores are named and explained: every task, metric and protocol brings its own texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints

from pipeline.core import plugins
from pipeline.core.errors import PluginError
from pipeline.evaluation.protocols import Protocols

if TYPE_CHECKING:
    from pipeline.core.params import Params

# metric -> view -> mean
Means = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class MetricText:
    """How a metric is written.

    Args:
        title: its name in tables; by default its name in the file of scores.
        percent: True for a fraction, which is written in percent; False for a plain number.
        higher_is_better: which of two means is the better one.
    """

    title: str = ""
    percent: bool = True
    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class TaskText:
    """How the scores of a task are written.

    Args:
        about: one or a few sentences for readers who do not know the task.
        headline: the metric that rows are compared by, of a task that counts the right windows of
            each clip; empty for a task that cannot be the first of evaluate.run.
        metrics: metric -> its text; columns stand in the order in which the task scores them.
        compare: (means of a row, means of the whole data) -> further columns: name -> number.
    """

    about: str = ""
    headline: str = ""
    metrics: Mapping[str, MetricText] = field(default_factory=dict)
    compare: Callable[[Means, Means], Mapping[str, float | None]] | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreTexts:
    """The texts of the sections of a params file; other names are looked up as plugins.

    Args:
        tasks: section of `tasks` -> its text.
        metrics: section of `metrics` -> its text.
        protocols: section of `evaluate.protocols` -> its sentences.
    """

    tasks: Mapping[str, TaskText] = field(default_factory=dict)
    metrics: Mapping[str, MetricText] = field(default_factory=dict)
    protocols: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_params(cls, params: Params) -> ScoreTexts:
        """Collect the texts of the plugins that a params file names.

        Args:
            params: its sections `tasks`, `metrics` and `evaluate.protocols` are read.
        """
        tasks, metrics = (
            collect_texts(
                {
                    name: plugins.find(kind, plugins.plugin_of(kind, name, params))
                    for name in params.get_section(plugins.KINDS[kind].section)
                }
            )
            for kind in ("task", "metric")
        )
        recipes, classes = params.get_section("evaluate.protocols"), get_type_hints(Protocols)
        return cls(
            tasks=tasks,
            metrics=metrics,
            protocols={
                name: _fill(classes[name].about, values)
                for name, values in recipes.items()
                if name in classes
            },
        )

    def get_task(self, name: str) -> TaskText:
        """Return the text of a task; of an unknown one an empty text.

        Args:
            name: as it stands in a file of scores.
        """
        text: TaskText = self.tasks.get(name) or _find_text("task", name) or TaskText()
        return text

    def get_metric(self, task: str, name: str) -> MetricText:
        """Return the text of a metric, which a task may bring itself; an unknown one has its name.

        Args:
            task: the task that it measures.
            name: as it stands in a file of scores.
        """
        text = self.get_task(task).metrics.get(name) or self.metrics.get(name)
        return text or _find_text("metric", name) or MetricText()


def collect_texts(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts of plugins; one that brings none is left out.

    Args:
        named: name -> plugin, a class or an object.
    """
    return {name: plugin.text for name, plugin in named.items() if hasattr(plugin, "text")}


def _fill(text: str, values: Mapping[str, Any]) -> str:
    """Fill in {names}; lists become "1.0, 0.5"."""
    written = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return text.format_map(written)


def _find_text(kind: str, name: str) -> Any:
    try:
        return collect_texts({name: plugins.find(kind, name)}).get(name)
    except PluginError:
        return None
