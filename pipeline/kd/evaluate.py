"""What a method's students reach: weight, rate and steps by the validation split, then a student per seed, tested once."""

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
from pipeline.kd import retrieval as neighbours
from pipeline.kd.retrieval import RetrievalItems
from pipeline.kd.student import KDRun, Student
from pipeline.training import loop as training

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.core.checkpoints import PartialResults
    from pipeline.core.records import RealSet
    from pipeline.distillation.inputs import Runtime
    from pipeline.kd.data import KDData

# metric -> row of the table -> what was counted, per source clip of the test split
Rows = dict[str, dict[str, Counted]]


@dataclass(frozen=True, kw_only=True)
class KDResult:
    """Scores, the students' weights by seed, and the rows that could not be run, each with what it needs."""

    scores: Scores
    weights: Mapping[int, dict[str, Tensor]]
    not_run: Sequence[str]


def train_and_evaluate(
    course: KDRun, seeds: Sequence[int], machine: Runtime, parts: PartialResults
) -> KDResult:
    """Choose on the validation split, teach a student per seed, and measure each once.

    Args:
        course: its weight, rate and fraction are chosen here, and its name is.
        parts: where finished trials and students lie, and the one on its way.

    Raises:
        CellError: there are more candidate weights than trials, or no candidate's loss stayed finite.
    """
    trials = _run_trials(course, machine, parts)
    pick = evaluation.pick_best(trials)[course.room.modality]
    chosen = {name: trials[pick][name] for name in ("weight", "rate", "stop")}
    if not trials[pick]["finite"]:
        raise DivergedError(
            "every candidate's loss became NaN or infinite; lower teach.highest, or the weights of the method"
        )
    final = replace(course, weight=chosen["weight"], rate=chosen["rate"], fraction=chosen["stop"])
    runs, weights = [], {}
    bounds, not_run = _evaluate_teachers(course)
    for seed in seeds:
        weights[seed] = parts.load_or_make(
            f"student{seed}",
            partial(_train_student, replace(final, name=("student", seed)), machine, parts),
        )
        pupil = final.build_student()
        pupil.load_state_dict(weights[seed])
        runs.append(_evaluate_student(course, pupil.to(machine.device), machine.device))
    return KDResult(
        scores=_summarise_runs(course, seeds, runs, bounds, chosen, trials),
        weights=weights,
        not_run=not_run,
    )


def _train_student(course: KDRun, machine: Runtime, parts: PartialResults) -> dict[str, Tensor]:
    """A seed's student; its step lies beside the finished ones."""
    name = "-".join(map(str, course.name))
    about = {"student": name, "inputs": digest_of([course.weight, course.rate, course.fraction])}
    kept = replace(machine.checkpoint, path=parts.folder / f"{name}.step.safetensors", about=about)
    report = partial(machine.report, student=str(course.name[-1]))
    return dict(course.train(replace(machine, checkpoint=kept, report=report)).state_dict())


def _run_trials(course: KDRun, machine: Runtime, parts: PartialResults) -> list[dict[str, Any]]:
    """Each candidate weight with each rate that the trials pay for, looked at after each of `stops`."""
    given, weights = course.settings, course.method.weights
    if len(weights) > given.trials:
        raise CellError(
            f"{len(weights)} candidate weights are more than the {given.trials} trials of teach.trials; give fewer"
        )
    count = given.trials // len(weights)
    rates = [
        given.lowest * (given.highest / given.lowest) ** ((i + 0.5) / count) for i in range(count)
    ]
    found = []
    for number, (weight, rate) in enumerate((weight, rate) for weight in weights for rate in rates):
        tried = replace(course, weight=weight, rate=rate, name=("trial", 0))
        quiet = replace(
            machine,
            report=partial(machine.report, choosing=f"{number + 1} of {len(weights) * count}"),
        )
        scores = parts.load_or_make(f"trial{number}", partial(_run_trial, tried, quiet))[
            "accuracy"
        ].tolist()
        found += [
            {
                "weight": weight,
                "rate": rate,
                "stop": stop,
                "finite": score >= 0,
                "score": {course.room.modality: score},
            }
            for stop, score in zip(given.stops, scores, strict=True)
        ]
    return found


def _run_trial(course: KDRun, machine: Runtime) -> dict[str, Tensor]:
    """Validation accuracy after each of `stops`; -1 where the loss was no number by then."""
    right = dict.fromkeys(map(course.count_steps, course.settings.stops), -1.0)
    val = course.room.val

    def record_accuracy(step: int, pupil: Student) -> None:
        guesses = _predict(course, pupil, val, machine.device)["logits"].argmax(1)
        right[step] = (guesses == val.label).double().mean().item()

    with suppress(DivergedError):
        course.train(machine, {step: partial(record_accuracy, step) for step in right})
    return {
        "accuracy": torch.tensor(
            [right[course.count_steps(stop)] for stop in course.settings.stops], dtype=torch.float64
        )
    }


def _predict(
    course: KDRun, pupil: Student, real: RealSet, device: torch.device
) -> dict[str, Tensor]:
    """Features and logits of every row of a split."""
    return training.apply_in_batches(pupil, pupil, real, course.room.data.normalisation, device)


def _evaluate_student(course: KDRun, pupil: Student, device: torch.device) -> Rows:
    """What one student makes of the test split, alone and together with each teacher's probe."""
    room = course.room
    test = _predict(course, pupil, room.test, device)
    gallery = _predict(course, pupil, room.gallery, device)
    sees = test["logits"].softmax(1)
    rows = {"accuracy": {"student": _count_correct(sees.argmax(1), room.test)}}
    for name, vectors in _select_teacher_vectors(room, "test", room.test).items():
        fused = (sees + room.probes[name].logits(vectors).softmax(1)) / 2
        rows["accuracy"][f"student + {name}"] = _count_correct(fused.argmax(1), room.test)
    return {**rows, **_evaluate_retrieval("student", course, test["features"], gallery["features"])}


def _evaluate_teachers(course: KDRun) -> tuple[Rows, list[str]]:
    """What the teachers reach by themselves, learning from the same rows, and what is missing for those that cannot be run."""
    room, label = course.room, course.room.data.label
    rows: Rows = {"accuracy": {}}
    test, gallery = (
        _select_teacher_vectors(room, split, real)
        for split, real in (("test", room.test), ("train", room.gallery))
    )
    for name, vectors in test.items():
        nearest = probes.classify_by_nearest_mean(
            room.teachers[name], label, room.data.classes, vectors
        )
        rows["accuracy"][f"probe {name}"] = _count_correct(
            room.probes[name].logits(vectors).argmax(1), room.test
        )
        rows["accuracy"][f"nearest mean {name}"] = _count_correct(nearest, room.test)
        for metric, own in (
            _evaluate_retrieval(f"teacher {name}", course, vectors, gallery[name])
            if name in gallery
            else {}
        ).items():
            rows.setdefault(metric, {}).update(own)
    probed = [
        (f"{row} {name}", name, "test")
        for name in room.teachers
        if name not in test
        for row in ("probe", "student +")
    ]
    sought = [
        (f"teacher {name}", name, "test and training")
        for name in room.teachers
        if name not in test or name not in gallery
    ]
    return rows, [
        f"{row}: not run: needs {name} vectors of every {split} window, by one encoder"
        for row, name, split in probed + sought
    ]


def _select_teacher_vectors(room: KDData, split: str, real: RealSet) -> dict[str, Tensor]:
    """The vectors of those teachers that have one of every row of a split."""
    found = {
        name: room.tables.select_vectors(split, name, real.keys)
        for name in room.teachers
        if room.tables.has(split, name)
    }
    return {name: vectors for name, (vectors, there) in found.items() if there.all()}


def _count_correct(guesses: Tensor, test: RealSet) -> Counted:
    return sum_per_clip(guesses == test.label, evaluation.clip_numbers(test))


def _evaluate_retrieval(row: str, course: KDRun, queries: Tensor, gallery: Tensor) -> Rows:
    """R@k and mAP of test clips among the clips of the whole training split, both as means of their windows' features."""
    found = neighbours.search(
        _average_clips(queries, course.room.test), _average_clips(gallery, course.room.gallery)
    )
    clips = torch.ones(len(found.first), dtype=torch.float64)
    recalls: Rows = {
        f"R@{most}": {row: (found.recall_at(most).double(), clips)}
        for most in course.settings.recalls
    }
    return {**recalls, "mAP": {row: (found.precision, clips)}}


def _average_clips(features: Tensor, real: RealSet) -> RetrievalItems:
    """A clip's vector is the mean of its windows'."""
    number = evaluation.clip_numbers(real)
    names = sorted(set(real.clips))
    sums = torch.zeros(len(names), features.shape[1], dtype=torch.float64).index_add_(
        0, number, features.double()
    )
    label = torch.zeros(len(names), dtype=torch.long).index_copy_(0, number, real.label)
    return RetrievalItems(vectors=sums / torch.bincount(number)[:, None], label=label, names=names)


def _summarise_runs(
    course: KDRun,
    seeds: Sequence[int],
    runs: Sequence[Rows],
    bounds: Rows,
    chosen: dict[str, Any],
    trials: list[dict[str, Any]],
) -> Scores:
    """Mean, spread and interval over students; of what no student decides, over clips alone."""
    times = course.settings.bootstrap
    metrics = {
        metric: {
            **{
                row: evaluation.summarise([run[metric][row] for run in runs], len(runs), times)
                for row in rows
            },
            **{
                row: evaluation.summarise([counted], 1, times)
                for row, counted in bounds.get(metric, {}).items()
            },
        }
        for metric, rows in runs[0].items()
    }
    return Scores(
        metrics=metrics,
        chosen=chosen,
        trials=trials,
        runs=[
            {"seed": seed, **dict(_compute_fractions(run))}
            for seed, run in zip(seeds, runs, strict=True)
        ],
    )


def _compute_fractions(run: Rows) -> Iterator[tuple[str, dict[str, float]]]:
    for metric, rows in run.items():
        yield (
            metric,
            {row: (sums.sum() / counts.sum()).item() for row, (sums, counts) in rows.items()},
        )
