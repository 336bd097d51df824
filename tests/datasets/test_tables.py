"""Tables of clips as people write them: spans, splits and paths, and a sentence for the rest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.errors import SourceError
from pipeline.core.records import Clip
from pipeline.datasets.adapters.folder import Dataset
from pipeline.datasets.manifest import read_manifest, write_manifest

FOLDER = Dataset(test_fraction=0.25, val_fraction=0.25, seed=0, licence=None, citation=None)
NAMES = [f"{i}.mp4" for i in range(16)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of placeholders, of two classes in turn."""
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def read(root: Path, *lines: str, header: str = "path,label,split,start,end,group") -> list[Clip]:
    (root / "clips.csv").write_text("\n".join([header, *lines]), encoding="utf-8")
    return FOLDER.clips(root)


def splits(clips: list[Clip]) -> dict[str, int]:
    return dict(Counter(clip.split for clip in clips))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0.mp4, dog ,TRAIN,,,", ("dog", "train", 0.0, None)),
        ("0.mp4 ,dog,training,0,nan,", ("dog", "train", 0.0, None)),
        ('0.mp4,"dog, small",Validation,"0,5","1,5",', ("dog, small", "val", 0.5, 1.5)),
        ("0.mp4,dog,testing,00:00:01,00:01:02.5,", ("dog", "test", 1.0, 62.5)),
        ("0.mp4,dog,valid", ("dog", "val", 0.0, None)),
    ],
)
def test_a_row_is_read_as_it_is_meant(
    row: str, expected: tuple[str, str, float, float | None], root: Path
) -> None:
    (clip,) = read(root, row)
    assert (clip.label, clip.split, clip.start_s, clip.end_s) == expected
    assert clip.sha256


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.mp4,dog,dev"], "line 2: the split is 'dev'; expected one of train, val, test"),
        (["0.mp4,dog,eval"], "line 2: the split is 'eval'"),
        (["0.mp4,dog,train,-0.5,1"], "line 2: the span is -0.5 to 1.0; start must be 0 or more"),
        (["0.mp4,dog,train,2,1"], "line 2: the span is 2.0 to 1.0"),
        (['0.mp4,dog,train,"1,500",'], "line 2: start and end must be seconds, '1,500' may be"),
        (['0.mp4,"dog\nbig",train'], "line 2: the label is .* in one line"),
        (['"0.mp4","dog"', ",dog,train"], "line 3: the path is empty; fill it in"),
        (["", '1.mp4,"a\nb",train', "0.mp4,dog,x"], "line 3: the label is"),
        (["0.mp4", "1.mp4,dog,x"], "line 2: 1 cells, expected 6: path,label,split"),
        (
            ["0.mp4,dog,train", "", "./0.mp4,dog,test"],
            "lines 2 and 4: the same path, label and span, listed twice",
        ),
        ([f"{'x' * 300}.mp4,dog,train"], "x.mp4 cannot be read .File name too long"),
        ([], "has no rows; expected the columns path,label"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_its_line(
    rows: list[str], message: str, root: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        read(root, *rows)


@pytest.mark.parametrize("header", ["path,label", "path,label,split"])
def test_rows_without_a_split_are_carved(header: str, root: Path) -> None:
    rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(NAMES)]
    clips = read(root, *rows, header=header)
    assert set(splits(clips)) == {"train", "val", "test"}


def test_of_a_table_with_some_splits_the_rows_without_are_carved(root: Path) -> None:
    """A split that is given is kept; no row without one becomes test if the table has a test."""
    given = {**dict.fromkeys(NAMES[:4], "train"), **dict.fromkeys(NAMES[4:6], "test")}
    rows = [f"{name},{'ab'[i % 2]},{given.get(name, '')}" for i, name in enumerate(NAMES)]
    clips = {Path(clip.path).name: clip for clip in read(root, *rows)}
    assert {name: clips[name].split for name in given} == given
    assert {clips[name].split for name in NAMES[6:]} == {"train", "val"}


def test_a_row_without_a_split_follows_its_group(root: Path) -> None:
    given = [f"{name},{'ab'[i % 2]},train" for i, name in enumerate(NAMES[:8])]
    rest = [f"{name},{'ab'[i % 2]},,,,g" for i, name in enumerate(NAMES[8:])]
    clips = read(root, *given, "0.mp4,c,test,,,g", *rest)
    assert {clip.split for clip in clips if clip.group == "g"} == {"test"}


@pytest.mark.parametrize("cell", ["below\\x.mp4", "below/x.mp4", "../{root}/below/x.mp4", "{full}"])
def test_a_path_is_found_however_it_is_written(cell: str, root: Path) -> None:
    (root / "below").mkdir()
    (root / "below" / "x.mp4").write_bytes(b"x")
    cell = cell.format(root=root.name, full=root / "below" / "x.mp4")
    (clip,) = read(root, f"{cell},dog,train")
    assert clip.path == str(root / "below" / "x.mp4") and clip.sha256


def test_a_name_with_spaces_or_a_backslash_of_its_own_goes_before(root: Path) -> None:
    for name in (" 0.mp4", "a\\b.mp4"):
        (root / name).write_bytes(name.encode())
    (root / "a").mkdir()
    (root / "a" / "b.mp4").write_bytes(b"other")
    clips = read(root, "a\\b.mp4,dog,train", " 0.mp4,dog,train")
    assert {Path(clip.path).name for clip in clips} == {"a\\b.mp4", "0.mp4"}
    (root / "0.mp4").unlink()
    clips = read(root, " 0.mp4,dog,train")
    assert Path(clips[0].path).name == " 0.mp4"


# Manifests


def manifest(root: Path) -> Path:
    clips = [f"{name},{'ab'[i % 2]}," for i, name in enumerate(NAMES)]
    write_manifest(root / "manifest.csv", read(root, *clips))
    return root / "manifest.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_manifest_that_a_spreadsheet_saved_is_the_same(
    delimiter: str, encoding: str, root: Path
) -> None:
    path = manifest(root)
    before = read_manifest(path)
    text = path.read_text().replace(",", delimiter).replace("\n", "\r\n")
    path.write_bytes(text.encode(encoding))
    assert read_manifest(path) == before


def test_a_manifest_is_the_same_from_everywhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = manifest(root)
    before = read_manifest(path)
    (root / "sub" / "sub").mkdir(parents=True)
    (root.parent / "link").symlink_to(root / "sub" / "sub")
    for folder, text in (
        (root, "manifest.csv"),
        (root / "sub", "../manifest.csv"),
        (root.parent, f"{root.name}/sub/../manifest.csv"),
        (root.parent, "link/../../manifest.csv"),
    ):
        monkeypatch.chdir(folder)
        assert read_manifest(Path(text)) == before


def test_a_path_of_a_manifest_may_lead_out_of_its_folder(root: Path) -> None:
    path = manifest(root)
    (root / "data" / "lists").mkdir(parents=True)
    moved = root / "data" / "lists" / "manifest.csv"
    lines = path.read_text().splitlines()
    column = lines[0].split(",").index("path")
    rows = [line.split(",") for line in lines[1:]]
    cells = [[*row[:column], f"../../{row[column]}", *row[column + 1 :]] for row in rows]
    moved.write_text("\n".join([lines[0], *(",".join(row) for row in cells)]))
    assert read_manifest(moved) == read_manifest(path)


@pytest.mark.parametrize("place", ["{root}", "{root}/sub/..", "{link}", "{link}/sub/../../{name}"])
def test_media_below_the_manifest_are_relative_however_the_folder_is_named(
    place: str, root: Path
) -> None:
    (root / "sub").mkdir()
    link = root.parent / f"{root.name}-link"
    link.symlink_to(root)
    folder = Path(place.format(root=root, link=link, name=root.name))
    plain = manifest(root).read_bytes()
    write_manifest(folder / "again.csv", FOLDER.clips(root))
    assert (root / "again.csv").read_bytes() == plain
    write_manifest(root / "again.csv", FOLDER.clips(folder))
    assert (root / "again.csv").read_bytes() == plain


def test_a_label_of_the_home_folders_name_comes_back(tmp_path: Path) -> None:
    for i in range(12):
        path = tmp_path / "~" / "ab"[i % 2] / f"{i}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    clips = FOLDER.clips(tmp_path / "~")
    write_manifest(tmp_path / "manifest.csv", clips)
    assert all(Path(clip.path).is_file() for clip in read_manifest(tmp_path / "manifest.csv"))
