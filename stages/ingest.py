"""media folder or annotations -> manifest and source"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.params import Params
    from pipeline.core.paths import PathOrURL


def ingest(
    name: str, *, root: PathOrURL, out: PathOrURL, force: bool = False, params: Params
) -> str:
    """List a dataset's clips in a manifest: id, path, label, split, span, group and digest of each.

    NAME is a section of `ingest` in the params file; its `adapter` reads ROOT. Name, home page,
    licence and citation of the dataset go to OUT's sibling .source.json, and from there into every
    artifact. Files and folders of ROOT that give no clip are counted, and named in OUT's sibling
    .skipped.csv. By its sibling .media.json `avdistill code` sees whether media changed since. A
    manifest at OUT is replaced; clips that came, went or changed their split are named.

    Example: avdistill ingest ave --root data/ave/media --out data/ave/manifest.csv
    """
    from dataclasses import replace

    from pipeline.core import plugins
    from pipeline.core.records import NOT_STATED
    from pipeline.datasets.fingerprint import digest_listing, write_listing
    from pipeline.datasets.leftovers import find_leftovers
    from pipeline.datasets.manifest import read_manifest, read_standing, write_manifest
    from pipeline.datasets.summary import (
        describe_changes,
        describe_close_labels,
        describe_manifest,
        explain_refusal,
    )

    standing, before = read_standing(out, force), digest_listing(root)
    dataset = plugins.build("adapter", name, params)
    clips, source = dataset.clips(root), dataset.source(root)
    source = replace(source, name=name) if source.name == NOT_STATED else source
    leftovers, close = find_leftovers(root, clips), describe_close_labels(clips)
    with explain_refusal([*close, *leftovers.describe()]):
        write_manifest(out, clips, source)
    write_listing(out, before, digest_listing(root))
    notes = [*describe_changes(standing, read_manifest(out)), *close, *leftovers.write(out)]
    return "\n".join([describe_manifest(clips, source, out), *notes])
