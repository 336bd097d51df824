"""The gallery's HTML: rows are classes, columns methods, each instance a frame, a log-mel and a sound, its start beside them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pipeline.report.html.elements import render_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.report.html.gallery import Gallery, GalleryInstance
    from pipeline.report.read.results import DatasetResults, Results

# A browser prepares every sound that it preloads; beyond this many they wait until they are played.
PRELOADED = 200
# Small players have room for little more than playing.
_CONTROLS = 'controlslist="nodownload noplaybackrate noremoteplayback"'


def render_gallery_table(
    board: DatasetResults, found: Results, shown: Mapping[str, Gallery], sounds: int
) -> str:
    """The instances at the smallest IPC; nothing, if none is asked for. `sounds`: how many the whole page has."""
    ipc = found.ipcs[0]
    classes = [
        name for name, instances in next(iter(shown.values())).instances.items() if instances
    ]
    if not classes:
        return ""
    preload = "metadata" if sounds <= PRELOADED else "none"
    heads = [
        f'<th scope="col">{escape(method)}<small>{g.pieces} {"piece" if g.pieces == 1 else "pieces"} each</small></th>'
        for method, g in shown.items()
    ]
    rows = []
    for name in classes:
        cells = "".join(
            _render_cell(f"{name}, {method}, {ipc} per class", g.instances[name], preload)
            for method, g in shown.items()
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    heard = (
        " The sound is an estimate from the log-mel, which keeps no phase; a formed instance plays its pieces one after another."
        if any(g.sound_count for g in shown.values())
        else ""
    )
    soft = (
        " Under an instance with soft labels: what its pieces are to be taken for, on average, the likeliest two."
        if any(one.taken for g in shown.values() for own in g.instances.values() for one in own)
        else ""
    )
    caption = (
        f"The first stored instances of each class at IPC {ipc}, the smallest, first seed: the frame, and beside it the log-mel "
        "with low frequencies at the bottom, from two standard deviations below the training mean (dark) to two above (bright)."
        f"{heard}{soft} Start: the coreset sample that an optimised instance began as."
    )
    body = f"<tbody>{''.join(rows)}</tbody>"
    return render_table(
        f"Stored instances on {board.dataset}",
        caption,
        f'<tr><th scope="col">class</th>{"".join(heads)}</tr>',
        body,
        kind="gallery",
    )


def _render_cell(says: str, instances: list[GalleryInstance], preload: str) -> str:
    ones = "".join(
        f'<div class="one">{_render_instance(f"{says}, stored instance {i}", x, preload)}</div>'
        for i, x in enumerate(instances, 1)
    )
    return f'<td><div class="shown">{ones}</div></td>'


def _render_instance(says: str, shown: GalleryInstance, preload: str) -> str:
    images = "".join(
        f'<img src="{p.uri}" width="{p.width}" height="{p.height}" alt="{escape(f"{says}: {p.name}")}">'
        for p in shown.pictures
    )
    parts = [
        f"<span>{images}</span>",
        *(f"<small>{escape(taken)}</small>" for taken in shown.taken),
    ]
    if shown.sound is not None:
        label = f'aria-label="{escape(f"{says}: sound")}"'
        parts.append(
            f'<audio controls {_CONTROLS} preload="{preload}" src="{shown.sound}" {label}></audio>'
        )
    if shown.start is not None:
        start = _render_instance(f"{says}, start", shown.start, preload)
        summary = f'<summary>start<span class="only"> of {escape(says)}</span></summary>'
        parts.append(f'<details class="start">{summary}<div>{start}</div></details>')
    return "".join(parts)
