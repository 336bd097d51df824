"""features and text table -> prototype scores"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.core.params import Params


def prototypes(
    manifest: Path,
    features: Path,
    out: Path,
    *,
    text: Path | None = None,
    coreset: Path | None = None,
    params: Params,
    report: Any,
) -> str:
    """Classify clips by the nearest point of a pretrained encoder's space.

    A point is a text, the mean of its neighbours, or the mean of labelled clips. FEATURES is a
    folder of train.h5, val.h5 and test.h5 that `avdistill extract` wrote. MANIFEST has the labels,
    and folds or splits. --text is a table of `avdistill extract-text` by the same encoder; without
    it zero-shot and prototypes are not run. --coreset is where to write a ranking without labels:
    the training samples nearest to each text. See docs/guide/prototypes.md.

    Example: avdistill prototypes data/esc50/manifest.csv work/clap work/p.json --text work/text.h5
    """
    from pipeline import prototypes as points
    from pipeline.core.errors import ParamsError
    from pipeline.core.files import refuse_existing, write_json

    settings = params.build("prototypes", points.PrototypeSettings)
    for path in filter(None, (out, coreset)):
        refuse_existing(path)
    if coreset and not text:
        raise ParamsError("--coreset ranks samples by their nearness to texts; add --text")
    inputs = points.read_inputs(manifest, features, text, settings)
    result = points.evaluate_inputs(inputs, settings, report)
    write_json(out, result)
    if coreset:
        write_json(coreset, points.rank_training_samples(inputs, settings).to_json())
    written = [f"-> {path}" for path in (out, coreset) if path]
    return "\n".join([*points.format_result(result), *written])
