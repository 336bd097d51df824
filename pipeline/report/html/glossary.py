"""How the numbers came about, in words: the page's last section."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What a protocol does, in two sentences; {names} are its values in the params file.
PROTOCOLS = {
    "avdd": (
        "As published (AVDD, TMLR 2024): every student is trained for a fixed {epochs} epochs at fixed learning rates. "
        "A smaller set therefore gets fewer optimiser steps, and rows differ in training time as well as in data."
    ),
    "budget": (
        "Every row gets the same {steps} optimiser steps and the same number of validation trials, {trials}; those that a method "
        "spends on its own step size are missing when its students' learning rate is chosen, and with it the share of the steps "
        "({stops}) after which they stop. All choices are made on the validation split, never on test."
    ),
}
TERMS = (
    (
        "Views",
        "A student with head ensemble has one tower and one classifier per modality, and its joint prediction is the mean of both. "
        "So one student gives the audio, the visual and the audio-visual accuracy.",
    ),
    (
        "Networks and heads",
        "The architecture that students have, and how they join sound and picture: ensemble averages two classifiers, the others "
        "join features and so have the audio-visual view only.",
    ),
    (
        "n and ±",
        "n counts students: a method is run with several seeds, and several students are trained on each of the sets. "
        "± is the standard deviation of their accuracies.",
    ),
    (
        "95 % interval",
        "A bootstrap over the test split's source clips and over the runs: both are drawn anew with replacement, the mean is taken "
        "each time, and the interval spans the middle 95 % of these means. It says nothing about other data or other networks.",
    ),
    (
        "Paired difference",
        "The same bootstrap for the difference of two rows: every draw takes the same test clips for both. It is in bold where the "
        "interval leaves out zero; with many comparisons on one page, one in twenty of equal methods does so by chance.",
    ),
    (
        "Seconds",
        "Taken on the machine that the run had, and so no part of a result. Scores that an earlier run had measured are found "
        "again with the time they took then.",
    ),
    (
        "Whole data",
        "The same students, trained on all training windows: the bound that the other rows are read against.",
    ),
    (
        "IPC",
        "Stored instances per class. An instance may hold several smaller pieces, each of them one training instance.",
    ),
)


def render_glossary(protocols: Sequence[str], recipes: Mapping[str, Mapping[str, Any]]) -> str:
    """The section; protocols that nobody has described go by their name alone."""
    about = [
        (f"Protocol <code>{escape(name)}</code>", escape(PROTOCOLS[name].format_map(recipes[name])))
        for name in protocols
        if name in PROTOCOLS
    ]
    items = "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in [*about, *TERMS])
    head = '<h2 id="measured-name">How it was measured</h2>'
    return (
        f'<section id="measured" aria-labelledby="measured-name">{head}<dl>{items}</dl></section>'
    )
