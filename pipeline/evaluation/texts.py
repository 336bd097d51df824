"""How scores are named and explained: tasks, metrics, protocols and methods bring their texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        guesses: classes that count as an answer, 0 where the metric is of no class. With so many
            classes or fewer every answer is right.
    """

    title: str = ""
    percent: bool = True
    higher_is_better: bool = True
    guesses: int = 0


@dataclass(frozen=True, kw_only=True)
class TaskText:
    """How the scores of a task are written.

    Args:
        about: one or a few sentences for readers who do not know the task.
        headline: the metric that rows are compared by, of a task that counts the right windows of
            each clip; empty for a task that cannot be the first of evaluate.run.
        metrics: metric -> its text; columns stand in the order in which the task scores them.
        compare: (means of a row, means of the whole data) -> further columns: name -> number.
        find_empty: means of all rows -> (metric, view) -> why that column says nothing.
    """

    about: str = ""
    headline: str = ""
    metrics: Mapping[str, MetricText] = field(default_factory=dict)
    compare: Callable[[Means, Means], Mapping[str, float | None]] | None = None
    find_empty: Callable[[Sequence[Means]], Mapping[tuple[str, str], str]] | None = None


@dataclass(frozen=True, kw_only=True)
class MethodText:
    """How a method is written: a row of `distill` or of `kd`.

    Args:
        title: its name, spelt out.
        paper: the address of its paper, empty where none is known.
        plugin: the plugin that the row gives values to.
    """

    title: str
    paper: str = ""
    plugin: str = ""


@dataclass(frozen=True, kw_only=True)
class ScoreTexts:
    """The texts of the sections of a params file; other names are looked up as plugins.

    Args:
        tasks: section of `tasks` -> its text.
        metrics: section of `metrics` -> its text.
        protocols: section of `evaluate.protocols` -> its sentences.
        methods: section of `distill` -> its text.
        kd_methods: section of `kd` -> its text.
    """

    tasks: Mapping[str, TaskText] = field(default_factory=dict)
    metrics: Mapping[str, MetricText] = field(default_factory=dict)
    protocols: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, MethodText] = field(default_factory=dict)
    kd_methods: Mapping[str, MethodText] = field(default_factory=dict)

    @classmethod
    def from_params(cls, params: Params) -> ScoreTexts:
        """Collect the texts of the plugins that a params file names.

        Args:
            params: its sections `tasks`, `metrics`, `evaluate.protocols`, `distill` and `kd` are
                read.
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
            methods=_describe_rows("method", params),
            kd_methods=_describe_rows("kd method", params),
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

    def get_method(self, name: str) -> MethodText:
        """Return the text of a method; an unknown one has its name.

        Args:
            name: a section of `distill`.
        """
        return self.methods.get(name) or _describe_row("method", name, name)

    def get_kd_method(self, name: str) -> MethodText:
        """Return the text of a method of `teach`; an unknown one has its name.

        Args:
            name: a section of `kd`.
        """
        return self.kd_methods.get(name) or _describe_row("kd method", name, name)


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


def _describe_rows(kind: str, params: Params) -> dict[str, MethodText]:
    """Return row -> text; a row whose plugin is absent goes by its name."""
    about = plugins.KINDS[kind]
    rows = params.get_section(about.section) if about.section in params.values else {}
    return {
        row: _describe_row(kind, str((values or {}).get(about.key, row)), row)
        for row, values in rows.items()
    }


def _describe_row(kind: str, plugin: str, row: str) -> MethodText:
    try:
        title, paper = plugins.describe(kind, plugin, row)
    except PluginError:
        return MethodText(title=row, plugin=plugin)
    return MethodText(title=title, paper=paper, plugin=plugin)


def _find_text(kind: str, name: str) -> Any:
    try:
        return collect_texts({name: plugins.find(kind, name)}).get(name)
    except PluginError:
        return None
