"""A root of fsd50k, one media file missing."""

from __future__ import annotations

from pathlib import Path

from tests.toys.sources import write


def write_source(root: Path) -> Path:
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
