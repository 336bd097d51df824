"""Tiny roots of the known datasets: annotation files in their documented layouts, and placeholders for media, one file missing."""

from __future__ import annotations

import dataclasses
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core import params, plugins
from pipeline.core.records import SPLITS
from tests.toys.project import REAL_DATA, ROOT, values


def write(root: Path, lists: dict[str, list[str]], media: list[str]) -> Path:
    """Lists by name, one line an item, and files that hold their own name; the last of the media is left out."""
    for name, lines in lists.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for name in media[:-1]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def ave(root: Path) -> Path:
    rows = {
        s: [f"{label}&{s}-{label[0]}{i}&good&{i}&{i + 3}" for label in LABELS for i in range(3)]
        for s in SPLITS
    }
    lists = {f"{split}Set.txt": rows[split] for split in SPLITS}
    everything = [row for split in SPLITS for row in rows[split]]
    return write(
        root,
        {"Annotations.txt": everything, **lists},
        [f"AVE/{row.split('&')[1]}.mp4" for row in everything],
    )


def vggsound(root: Path) -> Path:
    rows = [
        (f"{s}_-{n}{i}", 10 * i, label, s)
        for s in ("train", "test")
        for n, label in enumerate(LABELS)
        for i in range(6)
    ]
    table = [f'{video},{start},"{label}",{split}' for video, start, label, split in rows]
    return write(
        root,
        {"vggsound.csv": table},
        [f"video/{video}_{start:06d}.mp4" for video, start, *_ in rows],
    )


def music21(root: Path) -> Path:
    videos = {label: [f"-{label[0]}_{i}" for i in range(10)] for label in ("cello", "tuba")}
    media = [f"solo/{label}/{video}.mp4" for label, ids in videos.items() for video in ids]
    return write(
        root,
        {"MUSIC21_solo_videos.json": [json.dumps({"version": 2.0, "videos": videos}, indent=1)]},
        media,
    )


def ucf101(root: Path) -> Path:
    classes = values().get_section("ingest.ucf101")["classes"]
    takes = {"train": (8, 9, 10), "test": (1,)}
    rows = {
        split: [f"{c}/v_{c}_g{g:02d}_c01.avi" for c in classes for g in groups]
        for split, groups in takes.items()
    }
    lists = {f"ucfTrainTestlist/{split}list01.txt": lines for split, lines in rows.items()}
    return write(root, lists, [f"UCF-101/{name}" for name in rows["train"] + rows["test"]])


def activitynet(root: Path) -> Path:
    database = {
        f"{subset[:2]}-{label[0]}{i}": {
            "subset": subset,
            "annotations": [{"segment": [0.5, 4.5], "label": label}] * 2,
        }
        for subset in ("training", "validation")
        for label in LABELS
        for i in range(5)
    }
    lists = {
        "activity_net.v1-3.min.json": [
            json.dumps({"database": {**database, "x": {"subset": "testing", "annotations": []}}})
        ]
    }
    return write(root, lists, [f"{video[:2]}/v_{video}.mkv" for video in database])


def esc50(root: Path) -> Path:
    rows = [
        (f"{fold}-{fold}{n}{i}-A-{n}.wav", fold, n, i)
        for fold in range(1, 6)
        for n in (0, 1)
        for i in range(2)
    ]
    table = [
        f"{name},{fold},{n},{LABELS[n].split(',')[0]},False,{fold}{n}{i},A"
        for name, fold, n, i in rows
    ]
    lists = {"meta/esc50.csv": ["filename,fold,target,category,esc10,src_file,take", *table]}
    return write(root, lists, [f"audio/{name}" for name, *_ in rows])


def urbansound8k(root: Path) -> Path:
    rows = [
        (f"{fold}{n}{i}-{n}-0-0.wav", fold, n, i)
        for fold in range(1, 11)
        for n in (0, 1)
        for i in range(2)
    ]
    table = [f"{name},{fold}{n}{i},0.5,4.5,1,{fold},{n},class{n}" for name, fold, n, i in rows]
    lists = {
        "metadata/UrbanSound8K.csv": [
            "slice_file_name,fsID,start,end,salience,fold,classID,class_name",
            *table,
        ]
    }
    return write(root, lists, [f"audio/fold{fold}/{name}" for name, fold, *_ in rows])


def fsd50k(root: Path) -> Path:
    labels = ('"Electric_guitar,Guitar,Music"', "Purr")
    dev = [
        (f"1{n}{i}", label, ("train", "train", "val")[i])
        for n, label in enumerate(labels)
        for i in range(3)
    ]
    test = [(f"2{n}{i}", label) for n, label in enumerate(labels) for i in range(2)]
    lists = {
        "FSD50K.ground_truth/dev.csv": [
            "fname,labels,mids,split",
            *(f"{name},{label},/m/0,{split}" for name, label, split in dev),
        ],
        "FSD50K.ground_truth/eval.csv": [
            "fname,labels,mids",
            *(f"{name},{label},/m/0" for name, label in test),
        ],
    }
    media = [f"FSD50K.dev_audio/{name}.wav" for name, *_ in dev] + [
        f"FSD50K.eval_audio/{name}.wav" for name, _ in test
    ]
    return write(root, lists, media)


def sounded(root: Path) -> Path:
    """A root of esc50 whose placeholders are sounds of a second: one class a tone, the other one noise."""
    rng = np.random.default_rng(0)
    for path in sorted(root.rglob("*.wav")):
        tone = (
            8000 * np.sin(np.arange(16000) / 5)
            if path.stem[-1] == "0"
            else rng.normal(0, 4000, 16000)
        )
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 16000, 0, "NONE", ""))
            sound.writeframes(tone.astype("<i2").tobytes())
    return root


LABELS = ("Church bell", "Male speech, man speaking")
# adapter -> what writes its toy root
TOYS = {
    "activitynet": activitynet,
    "ave": ave,
    "esc50": esc50,
    "fsd50k": fsd50k,
    "music21": music21,
    "ucf101": ucf101,
    "urbansound8k": urbansound8k,
    "vggsound": vggsound,
}


LISTS = REAL_DATA / "annotations"
annotated = pytest.mark.skipif(not LISTS.exists(), reason="the real annotation files are not here")


def dataset(name: str, preset: str | None = None, **changes: Any) -> Any:
    """A dataset with the values of params.yaml, or of a preset, and changes."""
    given = params.load(ROOT / "presets" / f"{preset}.yaml") if preset else values()
    made = plugins.build("adapter", name, given)
    return dataclasses.replace(made, **changes)


def listed(root: Path, folder: str, *media: str) -> Path:
    """A root with the real annotation files of a folder, and placeholders for a few media."""
    (root / "annotations").symlink_to(LISTS / folder)
    for name in media:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root
