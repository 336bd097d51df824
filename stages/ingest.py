"""media folder or annotations -> manifest and source"""

from __future__ import annotations

from collections import Counter, defaultdict
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.core.paths import Place
    from pipeline.core.records import Clip


def ingest(name: str, *, root: Place, out: Place, params: Params) -> str:
    """List a dataset's clips in a manifest: id, path, label, split, span, group and digest of each.

    NAME is a section of `ingest` in the params file; its `adapter` reads ROOT. What the dataset is, whose, and under which licence
    goes to OUT's sibling .source.json, and from there into every artifact.

    Example: avdistill ingest generated --root data/generated/media --out data/generated/manifest.csv
    """
    from dataclasses import replace

    from pipeline.core import plugins
    from pipeline.core.files import refuse_existing
    from pipeline.core.records import NOT_STATED
    from pipeline.datasets.manifest import write_manifest

    refuse_existing(out)
    dataset = plugins.build("adapter", name, params)
    clips, source = dataset.clips(root), dataset.source(root)
    source = replace(source, name=name) if source.name == NOT_STATED else source
    write_manifest(out, clips, source)
    splits = Counter(clip.split for clip in clips)
    told = f"{len(clips)} clips of {len({clip.label for clip in clips})} classes ({dict(splits)}) -> {out}"
    return (
        told
        + f"; licence: {source.licence}"
        + _describe_shared_groups(clips)
        + _describe_missing(clips, out)
    )


def _describe_shared_groups(clips: list[Clip]) -> str:
    """How many groups stand in several splits, as some official lists have it; nothing, if none does."""
    splits = defaultdict(set)
    for clip in clips:
        splits[clip.group].add(clip.split)
    parted = sorted(group for group, own in splits.items() if len(own) > 1)
    return bool(parted) * (
        f"; {len(parted)} groups (of one video or recording) stand in more than one split, as listed ({', '.join(parted[:3])}"
        f"{', ...' * (len(parted) > 3)}): decode's leaks.csv shows which of their windows are alike"
    )


def _describe_missing(clips: list[Clip], out: Place) -> str:
    """How many files are not there, a few of them, and how to list them all; nothing, if they all are."""
    files = {clip.path for clip in clips}
    absent = sorted({clip.path for clip in clips if not clip.sha256})
    some = ", ".join(absent[:3]) + ", ..." * (len(absent) > 3)
    listing = f"grep ',0,$' {quote(str(out))}"
    return bool(absent) * (
        f"; {len(absent)} of {len(files)} files are missing ({some}): their rows have 0 bytes, `{listing}` lists them, "
        "and decode puts them into the ledger as missing_file"
    )
