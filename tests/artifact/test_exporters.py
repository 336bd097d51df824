"""Exporters: other tools read the artifact's content; the same artifact gives the same bytes."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from webdataset.tariterators import group_by_keys, tar_file_expander

from pipeline.artifact import PublishSettings, publish_artifact, read_artifact, write_artifact
from pipeline.artifact.exporters.card import LICENCES
from pipeline.artifact.inspection import render_page
from pipeline.artifact.pictures import PICTURES
from pipeline.core.errors import ArtifactError, OutputError, ParamsError
from pipeline.core.files import file_digest
from pipeline.core.records import SyntheticSet
from pipeline.shards.layout import move_channels_last
from pipeline.shards.preprocessing import Preprocessing
from pipeline.training import formation
from pipeline.training.instances import decode_synthetic_set
from stages.convert import convert
from tests.toys.artifacts import FULL, PREPROCESSING, SCORES, toy_synthetic
from tests.toys.plugins import TOY_SOUND, built
from tests.toys.project import CPU, values

FORMATS = {
    "card": "README.md",
    "croissant": "croissant.json",
    "webdataset": "train.tar",
    "previews": "previews",
    "ddranking": "dd",
}


def soft_toy(**provenance: Any) -> SyntheticSet:
    """Two classes, two rows each, four pieces a row, with soft labels."""
    toy = toy_synthetic()
    numbers = torch.Generator().manual_seed(1)
    soft = {m: torch.rand(len(toy.label), 4, 2, generator=numbers).softmax(-1) for m in toy.rows}
    return dataclasses.replace(toy, soft_label=soft, provenance={**toy.provenance, **provenance})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "seed0.h5"
    write_artifact(path, soft_toy(learned_rates={"frame": 0.02}), FULL)
    return path


def described(path: Path, **attributes: Any) -> Path:
    """An artifact with more to say."""
    write_artifact(path, soft_toy(**attributes), FULL)
    return path


def exported(name: str, artifact: Path) -> Path:
    out = artifact.parent / "out" / FORMATS[name]
    built("exporter", name).write(artifact, out)
    return out


def test_the_command_names_what_it_wrote_and_leaves_what_exists(
    artifact: Path, tmp_path: Path
) -> None:
    out = tmp_path / "README.md"
    assert convert("card", artifact, out, params=values()).startswith(str(out))
    with pytest.raises(OutputError, match="exists already"):
        convert("card", artifact, out, params=values())


def test_the_card_has_the_header_that_the_hub_reads(artifact: Path) -> None:
    _, header, body = exported("card", artifact).read_text(encoding="utf-8").split("---\n", 2)
    message = YAML(typ="safe", pure=True).load(header)
    assert message["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "seed0.h5"}]}
    ]
    assert (message["license"], message["size_categories"]) == ("unknown", ["n<1K"])
    assert message["task_categories"] == ["image-classification", "audio-classification"]
    assert "herding" in message["tags"] and body.strip().startswith("# herding-ipc2-")
    assert (
        "A synthetic set of frames and log-mels: 2 stored instances of each of 2 classes" in body
        and "- seed: 0" in body
    )
    assert "## Scores" not in body and "## Citation" not in body


def test_the_card_cites_and_shows_what_the_file_says(tmp_path: Path) -> None:
    said = {"name": "Clips 1.0", "licence": "CC-BY-4.0", "citation": "Doe, Clips, 2020"}
    plain = described(tmp_path / "plain.h5", sources=[said])
    digest = read_artifact(plain).about["content_digest"]
    published = tmp_path / "seed0.h5"
    publish_artifact(
        plain,
        {"artifacts": {"plain.h5": digest}, "scores": SCORES},
        PublishSettings(runs=False),
        published,
    )
    text = exported("card", published).read_text(encoding="utf-8")
    assert 'license: "cc-by-4.0"' in text and "cc-by-4.0" in LICENCES
    assert "Doe, Clips, 2020" in text and "- name: Clips 1.0" in text
    assert (
        "| budget convnet ensemble recognition | accuracy | av | 50.0 ± 10.0 [40.0, 60.0] |" in text
    )


def test_a_licence_that_the_hub_does_not_know_is_named(tmp_path: Path) -> None:
    text = exported(
        "card", described(tmp_path / "seed0.h5", sources=[{"licence": "Ask us"}])
    ).read_text(encoding="utf-8")
    assert 'license: "other"\nlicense_name: "Ask us"\n' in text


def test_what_the_card_says_of_reading_is_true(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = re.findall(
        r"```python\n(.*?)```", exported("card", artifact).read_text(encoding="utf-8"), re.DOTALL
    )
    monkeypatch.chdir(artifact.parent)
    read: dict[str, Any] = {}
    for example in examples[:2]:
        exec(example, read)
    toy = soft_toy()
    for m, rows in toy.rows.items():
        assert np.allclose(read["raw"][m], toy.normalisation[m].undo(rows).numpy(), atol=1e-3)
        assert next(iter(read["batches"]))[m].shape[1:] == rows.shape[1:]
    assert len(examples) == 3


def test_datasets_reads_an_artifact(artifact: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="no datasets; pip install datasets")
    rows = datasets.load_dataset(
        "hdf5", data_files=str(artifact), split="train", cache_dir=str(tmp_path / "cache")
    )
    read, toy = rows.with_format("numpy")[:], soft_toy()
    for name, column in toy.columns.items():
        assert np.array_equal(read[name], column.numpy())
    # Text of fixed length comes as bytes.
    assert [key if isinstance(key, str) else key.decode() for key in rows["source_key"]] == list(
        toy.source_key
    )


def test_croissant_describes_the_file(artifact: Path) -> None:
    message = json.loads(exported("croissant", artifact).read_text(encoding="utf-8"))
    (file,) = message["distribution"]
    assert (file["@type"], file["encodingFormat"]) == ("cr:FileObject", "application/x-hdf5")
    assert (file["contentUrl"], file["contentSize"]) == ("seed0.h5", f"{artifact.stat().st_size} B")
    assert file["sha256"] == file_digest(artifact)
    assert {"@context", "@type", "name", "description", "conformsTo", "version"} <= message.keys()
    assert (
        message["conformsTo"] == "http://mlcommons.org/croissant/1.0" and "recordSet" not in message
    )
    assert not {"url", "creator", "datePublished", "license", "citeAs"} & message.keys()


def full_croissant(folder: Path) -> Path:
    """A description with everything that the format asks for."""
    artifact = described(
        folder / "seed0.h5", sources=[{"licence": "CC-BY-4.0", "citation": "Doe, 2020"}]
    )
    known = {
        "url": "https://example.org/set",
        "creator": "Doe",
        "published": "2026-01-01",
        "version": "1.0.0",
    }
    out = folder / "croissant.json"
    dataclasses.replace(built("exporter", "croissant"), **known).write(artifact, out)
    return out


def test_croissant_has_what_the_format_asks_for(tmp_path: Path) -> None:
    message = json.loads(full_croissant(tmp_path).read_text(encoding="utf-8"))
    assert {"url", "creator", "datePublished", "license", "citeAs"} <= message.keys()
    assert message["creator"]["name"] == "Doe" and message["license"] == "CC-BY-4.0"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own libraries
def test_mlcroissant_finds_nothing_wrong(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip(
        "mlcroissant", reason="no mlcroissant; pip install mlcroissant"
    )
    issues = mlcroissant.Dataset(jsonld=str(full_croissant(tmp_path))).metadata.issues
    assert not issues.errors and not issues.warnings


def samples(tar: Path) -> list[dict[str, Any]]:
    with tar.open("rb") as stream:
        return [
            dict(sample)
            for sample in group_by_keys(tar_file_expander([{"url": str(tar), "stream": stream}]))
        ]


def test_the_tar_holds_every_training_instance(artifact: Path) -> None:
    found = samples(exported("webdataset", artifact))
    toy, whole = soft_toy(), decode_synthetic_set(soft_toy(), CPU)
    assert [sample["__key__"] for sample in found] == [
        f"{c:04d}_{n:04d}" for c in range(2) for n in range(8)
    ]
    for number, sample in enumerate(found):
        row, piece = divmod(number, 4)
        about = json.loads(sample["json"])
        assert (about["label"], about["class"]) == (toy.label[row], toy.classes[toy.label[row]])
        assert about["source_key"] == toy.source_key[row]
        for m, rows in whole.take(torch.tensor([piece * 4 + row])).items():
            array = np.load(io.BytesIO(sample[f"{m}.npy"]), allow_pickle=False)
            expected = toy.normalisation[m].undo(rows)[0].numpy()
            assert np.array_equal(array, move_channels_last(expected))
            assert np.allclose(about["soft_label"][m], toy.soft_label[m][row, piece])


def test_previews_show_and_play_every_row(artifact: Path) -> None:
    out = exported("previews", artifact)
    names = [f"{c:04d}_{n:04d}" for c in range(2) for n in range(2)]
    assert sorted(p.name for p in out.iterdir()) == sorted(
        f"{n}.{e}" for n in names for e in ("frame.png", "logmel.png", "wav")
    )
    toy = soft_toy()
    with av.open(str(out / "0001_0000.frame.png")) as picture:
        drawn = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(
        drawn, PICTURES["frame"][1](toy.rows["frame"][2], toy.normalisation["frame"])
    )
    with wave.open(str(out / "0001_0000.wav")) as sound:
        assert (sound.getframerate(), sound.getnframes(), sound.getnchannels()) == (
            TOY_SOUND.rate,
            4 * TOY_SOUND.rate,
            1,
        )


def test_previews_of_other_log_mels_are_refused(artifact: Path) -> None:
    other = dataclasses.replace(
        built("exporter", "previews"), logmel=dataclasses.replace(TOY_SOUND, n_mels=6)
    )
    with pytest.raises(ParamsError, match=r"makes log-mels of 6 x 8, .* holds 8 x 8"):
        other.write(artifact, artifact.parent / "previews")
    assert not (artifact.parent / "previews").exists()


def test_previews_take_the_parameters_that_the_file_holds(tmp_path: Path) -> None:
    held = Preprocessing(sections={**PREPROCESSING.sections, "logmel": TOY_SOUND})
    path = described(
        tmp_path / "seed0.h5", preprocessing=held.digest, preprocessing_params=held.params
    )
    other = dataclasses.replace(
        built("exporter", "previews"), logmel=dataclasses.replace(TOY_SOUND, n_mels=6)
    )
    other.write(path, tmp_path / "previews")
    assert (tmp_path / "previews" / "0001_0000.wav").exists()


def tensors(folder: Path) -> dict[str, Any]:
    return {path.stem: torch.load(path, weights_only=True) for path in folder.glob("*.pt")}


def test_dd_ranking_gets_balanced_classes_in_order(artifact: Path) -> None:
    out = exported("ddranking", artifact)
    frame, sound = tensors(out / "frame"), tensors(out / "logmel")
    assert frame["images"].shape == sound["images"].shape == (16, 3, 8, 8)
    assert frame["hard_labels"].tolist() == [0] * 8 + [1] * 8
    assert (frame["lr"], "lr" in sound) == (0.02, False)
    assert torch.equal(sound["images"][:, 0], sound["images"][:, 2])
    toy = soft_toy()
    assert torch.equal(frame["images"][:4], formation.split(toy.rows["frame"][:1], (2, 2))[:, 0])
    assert torch.allclose(
        frame["labels"].softmax(1), toy.soft_label["frame"].flatten(0, 1), atol=1e-6
    )


def test_dd_ranking_without_soft_labels_has_hard_ones(tmp_path: Path) -> None:
    write_artifact(tmp_path / "seed0.h5", toy_synthetic(), FULL)
    assert tensors(exported("ddranking", tmp_path / "seed0.h5") / "frame").keys() == {
        "images",
        "hard_labels",
    }


def test_dd_ranking_refuses_several_moments(tmp_path: Path) -> None:
    toy = toy_synthetic()
    several = dataclasses.replace(
        toy, rows={**toy.rows, "frame": toy.rows["frame"].repeat(1, 2, 1, 1, 1)}
    )
    write_artifact(tmp_path / "seed0.h5", several, FULL)
    with pytest.raises(ArtifactError, match="frames of 2 moments are not single pictures"):
        exported("ddranking", tmp_path / "seed0.h5")


@pytest.mark.parametrize("name", FORMATS)
def test_a_set_of_pictures_alone_is_exported(name: str, tmp_path: Path) -> None:
    toy = toy_synthetic()
    alone = {
        part: {"frame": getattr(toy, part)["frame"]}
        for part in ("rows", "formation", "normalisation")
    }
    write_artifact(tmp_path / "seed0.h5", dataclasses.replace(toy, **alone), FULL)
    assert exported(name, tmp_path / "seed0.h5").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_no_artifact_is_one_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "seed0.h5").write_text("none")
    with pytest.raises(ArtifactError, match="is no HDF5 file"):
        exported(name, tmp_path / "seed0.h5")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


# Twenty-three names of VGGSound hold a comma.
NAMES = ("people sniggering, laughing", "dog; barking")


@pytest.fixture
def with_commas(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "seed0.h5", dataclasses.replace(soft_toy(), classes=NAMES), FULL)
    return tmp_path / "seed0.h5"


def test_the_card_and_the_page_tell_names_with_commas_apart(with_commas: Path) -> None:
    listed = 'people sniggering, laughing; "dog; barking"'
    card = exported("card", with_commas).read_text(encoding="utf-8")
    assert f"in the order of the labels: {listed}\n" in card
    assert f" {listed}\n" in render_page(with_commas)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_file_joins_the_names_by_commas(with_commas: Path, name: str) -> None:
    out = exported(name, with_commas)
    written = [path for path in [out, *out.rglob("*")] if path.is_file()]
    assert written
    assert not [path for path in written if ", ".join(NAMES).encode() in path.read_bytes()]
