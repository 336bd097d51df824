"""Choose weight, rate and steps on the validation split; train and test a student per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline import evaluation
from pipeline.core.errors import CellError, DivergedError
from pipeline.core.files import digest_of
from pipeline.core.scores import Scores
from pipeline.evaluation import Counted
from pipeline.evaluation.metrics import sum_per_clip
from pipeline.kd import probes
from pipeline.kd.retrieval import RetrievalItems, search
from pipeline.kd.student import KDRun, Student
from pipeline.training.loop import apply_in_batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import RealSet
    from pipeline.distillation.inputs import Runtime
    from pipeline.kd.data import KDData

# metric -> row of the table -> sums and counts per source clip of the test split
Rows = dict[str, dict[str, Counted]]


@dataclass(frozen=True, kw_only=True)
class KDResult:
    """The result of one method.

    Args:
        scores: of its students, and of the teachers alone.
        weights: seed -> the student's weights.
        not_run: rows that could not be run, each with its reason.
    """

    scores: Scores
    weights: Mapping[int, dict[str, Tensor]]
    not_run: Sequence[str]


def train_and_evaluate(
    run: KDRun, seeds: Sequence[int], runtime: Runtime, cache: PartialResults
) -> KDResult:
    """Choose on the validation split, train a student per seed, and test each once.

    Args:
        run: the method and its data; weight, rate, fraction and name are set here.
        seeds: one student each.
        runtime: device, progress and checkpoint.
        cache: finished trials and students, and the step of the unfinished one.

    Raises:
        CellError: there are more candidate weights than trials.
        DivergedError: no candidate's loss stayed finite.
    """
    trials = _run_trials(run, runtime, cache)
    pick = evaluation.pick_best(trials)[run.data.modality]
    chosen = {name: trials[pick][name] for name in ("weight", "rate", "stop")}
    if not trials[pick]["finite"]:
        raise DivergedError(
            "every candidate's loss became NaN or infinite; "
            "lower teach.highest, or the weights of the method"
        )
    final = replace(run, weight=chosen["weight"], rate=chosen["rate"], fraction=chosen["stop"])
    rows, weights = [], {}
    bounds, not_run = _evaluate_teachers(run.data, run.settings.recalls)
    for seed in seeds:
        weights[seed] = cache.load_or_make(
            f"student{seed}",
            partial(_train_student, replace(final, name=("student", seed)), runtime, cache),
        )
        student = final.build_student()
        student.load_state_dict(weights[seed])
        rows.append(_evaluate_student(run, student.to(runtime.device), runtime.device))
    return KDResult(
        scores=_summarise_runs(run, seeds, rows, bounds, chosen, trials),
        weights=weights,
        not_run=not_run,
    )


def _train_student(run: KDRun, runtime: Runtime, cache: PartialResults) -> dict[str, Tensor]:
    """Train a seed's student; its last step is kept beside the finished students."""
    name = "-".join(map(str, run.name))
    about = {"student": name, "inputs": digest_of([run.weight, run.rate, run.fraction])}
    path = cache.folder / f"{name}.step.safetensors"
    checkpoint = replace(runtime.checkpoint, path=path, about=about)
    report = partial(runtime.report, student=str(run.name[-1]))
    return dict(run.train(replace(runtime, checkpoint=checkpoint, report=report)).state_dict())


def _run_trials(run: KDRun, runtime: Runtime, cache: PartialResults) -> list[dict[str, Any]]:
    """Validate each candidate weight with each learning rate, after each of `stops`."""
    settings, weights = run.settings, run.method.weights
    if len(weights) > settings.trials:
        raise CellError(
            f"{len(weights)} candidate weights are more than the {settings.trials} trials of "
            "teach.trials; give fewer"
        )
    count = settings.trials // len(weights)
    ratio = settings.highest / settings.lowest
    rates = [settings.lowest * ratio ** ((i + 0.5) / count) for i in range(count)]
    trials = []
    for number, (weight, rate) in enumerate((weight, rate) for weight in weights for rate in rates):
        candidate = replace(run, weight=weight, rate=rate, name=("trial", 0))
        choosing = f"{number + 1} of {len(weights) * count}"
        quiet = replace(runtime, report=partial(runtime.report, choosing=choosing))
        made = cache.load_or_make(f"trial{number}", partial(_run_trial, candidate, quiet))
        trials += [
            {
                "weight": weight,
                "rate": rate,
                "stop": stop,
                "finite": score >= 0,
                "score": {run.data.modality: score},
            }
            for stop, score in zip(settings.stops, made["accuracy"].tolist(), strict=True)
        ]
    return trials


def _run_trial(run: KDRun, runtime: Runtime) -> dict[str, Tensor]:
    """Return the validation accuracy after each of `stops`; -1 where the loss was not finite."""
    steps = [run.count_steps(stop) for stop in run.settings.stops]
    accuracy = dict.fromkeys(steps, -1.0)
    val = run.data.val

    def record_accuracy(step: int, student: Student) -> None:
        guesses = _predict(run.data, student, val, runtime.device)["logits"].argmax(1)
        accuracy[step] = (guesses == val.label).double().mean().item()

    with suppress(DivergedError):
        run.train(runtime, {step: partial(record_accuracy, step) for step in accuracy})
    return {"accuracy": torch.tensor([accuracy[step] for step in steps], dtype=torch.float64)}


def _predict(
    data: KDData, student: Student, real: RealSet, device: torch.device
) -> dict[str, Tensor]:
    """Return the features and logits of every row of a split."""
    return apply_in_batches(student, student, real, data.instances.normalisation, device)


def _evaluate_student(run: KDRun, student: Student, device: torch.device) -> Rows:
    """Test one student, alone and averaged with each teacher's probe."""
    data = run.data
    test = _predict(data, student, data.test, device)
    gallery = _predict(data, student, data.gallery, device)
    probabilities = test["logits"].softmax(1)
    rows = {"accuracy": {"student": _count_correct(probabilities.argmax(1), data.test)}}
    for name, vectors in _select_teacher_vectors(data, "test", data.test).items():
        fused = (probabilities + data.probes[name].logits(vectors).softmax(1)) / 2
        rows["accuracy"][f"student + {name}"] = _count_correct(fused.argmax(1), data.test)
    retrieval = _evaluate_retrieval(
        "student", data, run.settings.recalls, test["features"], gallery["features"]
    )
    return {**rows, **retrieval}


def _evaluate_teachers(data: KDData, recalls: Sequence[int]) -> tuple[Rows, list[str]]:
    """Test the teachers alone, fitted on the same rows; list the rows that cannot be run."""
    label, classes = data.instances.label, data.instances.classes
    rows: Rows = {"accuracy": {}}
    test = _select_teacher_vectors(data, "test", data.test)
    gallery = _select_teacher_vectors(data, "train", data.gallery)
    for name, vectors in test.items():
        nearest = probes.classify_by_nearest_mean(data.teachers[name], label, classes, vectors)
        guesses = data.probes[name].logits(vectors).argmax(1)
        rows["accuracy"][f"probe {name}"] = _count_correct(guesses, data.test)
        rows["accuracy"][f"nearest mean {name}"] = _count_correct(nearest, data.test)
        if name in gallery:
            retrieval = _evaluate_retrieval(
                f"teacher {name}", data, recalls, vectors, gallery[name]
            )
            for metric, counted in retrieval.items():
                rows.setdefault(metric, {}).update(counted)
    return rows, _list_not_run(data, test, gallery)


def _list_not_run(
    data: KDData, test: Mapping[str, Tensor], gallery: Mapping[str, Tensor]
) -> list[str]:
    """List the rows of teachers that lack vectors of the test or training split."""
    missing = [
        (f"{row} {name}", name, "test")
        for name in data.teachers
        if name not in test
        for row in ("probe", "student +")
    ]
    missing += [
        (f"teacher {name}", name, "test and training")
        for name in data.teachers
        if name not in test or name not in gallery
    ]
    return [
        f"{row}: not run: needs {name} vectors of every {split} window, by one encoder"
        for row, name, split in missing
    ]


def _select_teacher_vectors(data: KDData, split: str, real: RealSet) -> dict[str, Tensor]:
    """Return the vectors of those teachers that have one for every row of a split."""
    selected = {
        name: data.tables.select_vectors(split, name, real.keys)
        for name in data.teachers
        if data.tables.has(split, name)
    }
    return {name: vectors for name, (vectors, present) in selected.items() if present.all()}


def _count_correct(guesses: Tensor, test: RealSet) -> Counted:
    return sum_per_clip(guesses == test.label, evaluation.clip_numbers(test))


def _evaluate_retrieval(
    row: str, data: KDData, recalls: Sequence[int], queries: Tensor, gallery: Tensor
) -> Rows:
    """Look up test clips among all training clips: R@k and mAP; a clip is its windows' mean."""
    result = search(_average_clips(queries, data.test), _average_clips(gallery, data.gallery))
    clips = torch.ones(len(result.first), dtype=torch.float64)
    rows: Rows = {f"R@{k}": {row: (result.recall_at(k).double(), clips)} for k in recalls}
    return {**rows, "mAP": {row: (result.precision, clips)}}


def _average_clips(features: Tensor, real: RealSet) -> RetrievalItems:
    """Average the features [N, D] of each clip's windows."""
    number = evaluation.clip_numbers(real)
    names = sorted(set(real.clips))
    sums = torch.zeros(len(names), features.shape[1], dtype=torch.float64)
    sums = sums.index_add_(0, number, features.double())
    label = torch.zeros(len(names), dtype=torch.long).index_copy_(0, number, real.label)
    return RetrievalItems(vectors=sums / torch.bincount(number)[:, None], label=label, names=names)


def _summarise_runs(
    run: KDRun,
    seeds: Sequence[int],
    students: Sequence[Rows],
    bounds: Rows,
    chosen: dict[str, Any],
    trials: list[dict[str, Any]],
) -> Scores:
    """Summarise students by mean, deviation and interval; the teachers' interval is over clips."""
    times = run.settings.bootstrap
    metrics = {}
    for metric, rows in students[0].items():
        metrics[metric] = {
            row: evaluation.summarise([one[metric][row] for one in students], len(students), times)
            for row in rows
        }
        for row, counted in bounds.get(metric, {}).items():
            metrics[metric][row] = evaluation.summarise([counted], 1, times)
    runs = [
        {"seed": seed, **dict(_compute_fractions(rows))}
        for seed, rows in zip(seeds, students, strict=True)
    ]
    return Scores(metrics=metrics, chosen=chosen, trials=trials, runs=runs)


def _compute_fractions(run: Rows) -> Iterator[tuple[str, dict[str, float]]]:
    for metric, rows in run.items():
        fractions = {
            row: (sums.sum() / counts.sum()).item() for row, (sums, counts) in rows.items()
        }
        yield metric, fractions
