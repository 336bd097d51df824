"""Extractors of other vectors: tiny pretrained encoders, offline, and a user's files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import PipelineError, PluginError, ShardError, SourceError, StoreError
from pipeline.core.records import Features, RealSet
from pipeline.features.extractors import _transformers
from pipeline.features.extractors.clap import preprocess_waves
from pipeline.features.extractors.clip import preprocess_frames
from pipeline.features.store import write_features
from tests.toys.encoders import clap_into
from tests.toys.plugins import embed
from tests.toys.samples import toy_real, toy_waves

# Own vectors


def own(folder: Path, ids: list[str], vectors: np.ndarray) -> Path:
    """Vectors as .npy beside their ids."""
    np.save(folder / "own.npy", vectors)
    (folder / "own.ids.txt").write_text("\n".join(ids) + "\n")
    return folder / "own.npy"


def external(path: Path, real: RealSet, **changes: Any) -> Features:
    return embed("external", real, path.parent, vectors={"frame": str(path)}, **changes)


def numbered(count: int) -> np.ndarray:
    """Vectors that say which they are."""
    return np.stack([np.arange(count), np.ones(count)], axis=1)


@given(order=st.permutations(range(24)))
def test_own_vectors_are_found_by_key_in_any_order(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = toy_real()
    path = own(tmp_path_factory.mktemp("own"), [real.keys[i] for i in order], numbered(24)[order])
    assert external(path, real).vectors["frame"][:, 0].tolist() == list(range(24))


def test_a_clips_vector_goes_to_each_of_its_seconds(tmp_path: Path) -> None:
    real = toy_real()
    features = external(own(tmp_path, sorted(set(real.clips)), numbered(12)), real)
    assert features.vectors["frame"][:, 0].tolist() == [i // 2 for i in range(24)]
    assert features.keys == real.keys


def test_vectors_of_others_are_passed_over(tmp_path: Path) -> None:
    real = toy_real()
    features = external(own(tmp_path, ["other_0000", *real.keys], numbered(25)), real)
    assert features.vectors["frame"][:, 0].tolist() == list(range(1, 25))


def test_own_vectors_come_from_hdf5_as_well(tmp_path: Path) -> None:
    real = toy_real()
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["id"], file["frame"] = list(real.keys), numbered(24).astype(np.float16)
    assert external(tmp_path / "own.h5", real).vectors["frame"][:, 0].tolist() == list(range(24))


def test_missing_vectors_are_refused_or_left_out(tmp_path: Path) -> None:
    real = toy_real()
    path = own(tmp_path, list(real.keys[4:]), numbered(20))
    message = (
        r"own\.npy has no vector for 4 of 24 samples, "
        r"clip000_0000, clip000_0001, clip001_0000, \.\.\.; add them by sample key or"
    )
    with pytest.raises(SourceError, match=message):
        external(path, real, exclude_missing=False)
    features = external(path, real, exclude_missing=True)
    assert features.keys == real.keys[4:]
    assert features.label.tolist() == real.label[4:].tolist()
    assert features.vectors["frame"][:, 0].tolist() == list(range(20))


def test_a_class_without_vectors_is_refused(tmp_path: Path) -> None:
    real = toy_real()
    path = own(tmp_path, list(real.keys[12:]), numbered(12))
    with pytest.raises(
        SourceError,
        match="1 classes have no sample with a vector in every file, class0; add some for each",
    ):
        external(path, real, exclude_missing=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda ids, v: ([*ids[:-1], ids[0]], v),
            r"has 1 ids more than once, clip000_0000; keep one vector of each",
        ),
        (
            lambda ids, v: (ids, np.where(v == 7, np.nan, v)),
            r"has NaN or infinite numbers in 1 vectors, clip003_0001; repair",
        ),
        (
            lambda ids, v: (ids, np.where(v == 7, np.inf, v)),
            r"has NaN or infinite numbers in 1 vectors, clip003_0001; repair",
        ),
        (
            lambda ids, v: (ids, np.where(v == 7, 1e300, v)),
            r"has NaN or infinite numbers in 1 vectors, clip003_0001; repair",
        ),
        (
            lambda ids, v: (ids, v[:, 0]),
            r"holds float64 \[24\] for frame; expected floats \[N, D\], a row per id",
        ),
        (lambda ids, v: (ids, v[None]), r"holds float64 \[1, 24, 2\] for frame; expected floats"),
        (lambda ids, v: (ids, v.astype(int)), r"holds int64 \[24, 2\] for frame; expected floats"),
        (
            lambda ids, v: (ids, v[:-1]),
            r"has 23 vectors and 24 ids; expected one id per vector, in the same order",
        ),
        (
            lambda ids, v: (ids, v.astype(object)),
            r"own\.npy and own\.ids\.txt cannot be read \(.*\); expected numpy\.save of floats",
        ),
    ],
)
def test_a_bad_file_of_vectors_is_one_sentence(
    change: Callable[..., Any], message: str, tmp_path: Path
) -> None:
    real = toy_real()
    path = own(tmp_path, *change(list(real.keys), numbered(24)))
    with pytest.raises(SourceError, match=message):
        external(path, real)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own.npy", None, r"does not exist; extract\.external\.vectors\.frame names it"),
        (
            "own.npy",
            b"no vectors",
            r"own\.ids\.txt does not exist; write the ids of own\.npy there, one per line",
        ),
        ("own.csv", b"a,1", r"is no file of vectors; expected one of \.npy, \.h5"),
        ("own.h5", b"no table", r"is no HDF5 file of datasets, or is damaged"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        external(tmp_path / name, toy_real())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"]}, r"own\.h5 holds id; expected `id` or `key`, and 'frame'"),
        ({"frame": np.ones((1, 2))}, r"own\.h5 holds frame; expected `id` or `key`, and 'frame'"),
        (
            {"id": np.arange(1), "frame": np.ones((1, 2))},
            r"has ids int64 \[1\]; expected a list of text",
        ),
        ({"id": ["a"], "frame": ["a"]}, r"for frame; expected floats \[N, D\]"),
    ],
)
def test_an_hdf5_of_something_else_is_one_sentence(
    columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for name, values in columns.items():
            file[name] = values
    with pytest.raises(SourceError, match=message):
        external(tmp_path / "own.h5", toy_real())


def test_tables_of_two_encoders_join_if_they_are_of_these_shards(
    tmp_path: Path, toy_clip: Path, toy_clap: Path
) -> None:
    real = toy_waves()
    for name, model in (("clip", toy_clip), ("clap", toy_clap)):
        write_features(tmp_path / f"{name}.h5", embed(name, real, tmp_path, model=str(model)))
    files = {"frame": str(tmp_path / "clip.h5"), "wave": str(tmp_path / "clap.h5")}
    features = embed("external", real, tmp_path, vectors=files)
    assert {m: rows.shape for m, rows in features.vectors.items()} == {
        "frame": (24, 6),
        "wave": (24, 6),
    }
    with pytest.raises(
        StoreError,
        match=r"clip\.h5 is of shards toy0, expected shards later; run `avdistill extract` again",
    ):
        embed("external", replace(real, digest="later"), tmp_path, vectors=files)
    with pytest.raises(
        StoreError, match=r"clip\.h5 is of preprocessing toy, expected preprocessing other; run"
    ):
        embed("external", replace(real, preprocessing="other"), tmp_path, vectors=files)


def test_other_numbers_have_another_digest(tmp_path: Path) -> None:
    real, digests = toy_real(), set()
    for vectors, order in ((numbered(24), 1), (numbered(24) + 1, 1), (numbered(24), -1)):
        digests.add(external(own(tmp_path, list(real.keys[::order]), vectors), real).origin.weights)
    assert len(digests) == 3


# Pretrained encoders


def test_vectors_are_of_length_one(tmp_path: Path, toy_clip: Path, toy_clap: Path) -> None:
    for name, model in (("clip", toy_clip), ("clap", toy_clap)):
        (vectors,) = embed(name, toy_waves(), tmp_path, model=str(model)).vectors.values()
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert len(np.unique(vectors.round(5), axis=0)) == 24


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_batches_do_not_change_vectors(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = str(request.getfixturevalue(f"toy_{name}"))
    (one,), (many,) = (
        embed(name, toy_waves(), tmp_path / str(batch), model=model, batch=batch).vectors.values()
        for batch in (1, 24)
    )
    assert np.allclose(one, many, atol=1e-5)


def test_a_samples_vector_is_the_mean_direction_of_its_frames(
    tmp_path: Path, toy_clip: Path
) -> None:
    real = toy_real()
    pair = replace(
        real,
        rows={
            **real.rows,
            "frame": torch.cat([real.rows["frame"], real.rows["frame"].flip(0)], dim=1),
        },
    )
    one, both = (
        embed("clip", data, tmp_path / str(i), model=str(toy_clip)).vectors["frame"]
        for i, data in enumerate((real, pair))
    )
    mean = (one + one[::-1]) / 2
    assert np.allclose(both, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)


def test_a_picture_of_the_models_side_is_only_normalised() -> None:
    raw = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8).remainder(256).to(torch.uint8)
    mean, std = (
        torch.tensor([0.4, 0.5, 0.6])[:, None, None],
        torch.tensor([0.2, 0.3, 0.4])[:, None, None],
    )
    found = preprocess_frames(raw, 8, 1 / 255, [0.4, 0.5, 0.6], [0.2, 0.3, 0.4])
    assert torch.allclose(found, (raw / 255 - mean) / std, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "middle"), [((8, 16), np.s_[..., 4:12]), ((12, 8), np.s_[..., 2:10, :])]
)
def test_a_long_picture_is_cropped_in_the_middle(shape: tuple[int, int], middle: Any) -> None:
    raw = torch.randint(
        256, (1, 3, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    assert torch.equal(preprocess_frames(raw, 8, 1.0, [0.0] * 3, [1.0] * 3), raw[middle].float())


def test_a_picture_is_resized_by_its_shorter_side() -> None:
    raw = torch.zeros(1, 3, 16, 40, dtype=torch.uint8)
    raw[..., 20:] = 200
    found = preprocess_frames(raw, 8, 1.0, [0.0] * 3, [1.0] * 3)
    assert found.shape == (1, 3, 8, 8)
    assert found[..., :3].max() < 20 and found[..., 5:].min() > 180


@pytest.mark.parametrize(
    "wrap",
    [lambda x: x, lambda x: SimpleNamespace(pooler_output=x)],
    ids=["version 4", "version 5"],
)
@pytest.mark.parametrize("name", ["clip", "clap"])
def test_both_return_types_are_read(
    wrap: Callable[..., Any],
    name: str,
    toy_clip: Path,
    toy_clap: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class StandIn(torch.nn.Linear):
        config = SimpleNamespace(vision_config=SimpleNamespace(image_size=8))

        def get_image_features(self, pixel_values: torch.Tensor) -> Any:
            return wrap(pixel_values.flatten(1)[:, :5] + 3)

        def get_audio_features(self, input_features: torch.Tensor, is_longer: torch.Tensor) -> Any:
            return wrap(input_features.flatten(1)[:, :5] + 3)

    monkeypatch.setattr(_transformers, "load_model", lambda *given: StandIn(2, 2))
    model = {"clip": toy_clip, "clap": toy_clap}[name]
    (vectors,) = embed(name, toy_waves(), tmp_path, model=str(model)).vectors.values()
    assert vectors.shape == (24, 5)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_second_is_repeated_to_the_models_length(toy_clap: Path) -> None:
    reader = _transformers.load_feature_extractor(str(toy_clap), "main")
    heard = preprocess_waves(toy_waves().rows["wave"], reader)
    assert heard.shape == (24, 1, 51, 16)
    # A frame every 40 of 1000 samples: the second second repeats the first, 25 frames later.
    assert torch.allclose(heard[:, :, 4:20], heard[:, :, 29:45], atol=1e-3)


def test_a_rate_that_is_not_the_models_names_both(tmp_path: Path, toy_clap: Path) -> None:
    with pytest.raises(
        ShardError,
        match=(
            "takes 1000 samples a second, the shards hold 800; "
            r"set decode\.wave\.rate to 1000 and run"
        ),
    ):
        embed("clap", toy_waves(rate=800), tmp_path, model=str(toy_clap))


def test_a_model_that_hears_less_than_a_second_is_refused(tmp_path: Path) -> None:
    short = clap_into(tmp_path / "short", seconds=0.5)
    with pytest.raises(
        ShardError,
        match=r"takes 0\.5 s, less than a sample's second; name a model that takes one or more",
    ):
        embed("clap", toy_waves(), tmp_path, model=str(short))


@pytest.mark.parametrize("fused", [False, True])
def test_nothing_about_sound_is_drawn(fused: bool, tmp_path: Path) -> None:
    """A fused model marks a random wave of a batch as cut, so that results would vary."""
    model, found = clap_into(tmp_path / "model", fused), []
    for seed in range(3):
        np.random.seed(seed)
        found.append(
            embed("clap", toy_waves(), tmp_path / str(seed), model=str(model)).vectors["wave"]
        )
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_weights_are_named_by_their_content(tmp_path: Path, toy_clip: Path) -> None:
    real = toy_real()
    kept = embed("clip", real, tmp_path, model=str(toy_clip)).origin
    (tmp_path / "moved").symlink_to(toy_clip)
    moved = embed("clip", real, tmp_path, model=str(tmp_path / "moved")).origin
    assert (moved.weights, moved.params["model"]) == (kept.weights, str(tmp_path / "moved"))


def test_the_library_says_nothing(
    tmp_path: Path, toy_clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    embed("clip", toy_real(), tmp_path, model=str(toy_clip))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model", ["no/such/folder/at/all", "nobody/no-model"])
@pytest.mark.parametrize("name", ["clip", "clap"])
def test_a_model_that_is_not_there_is_one_sentence(
    name: str, model: str, tmp_path: Path, toy_clip: Path
) -> None:
    with pytest.raises(SourceError) as message:
        embed(name, toy_waves(), tmp_path, model=model)
    assert f"could be loaded from {model!r}" in str(message.value)
    assert (
        "expected a folder that save_pretrained wrote, or a model's id on a hub that can be reached"
        in str(message.value)
    )
    assert "\n" not in str(message.value)


@pytest.mark.parametrize(("name", "kind"), [("clip", "CLIPModel"), ("clap", "ClapModel")])
def test_a_model_of_another_kind_is_refused(
    name: str, kind: str, tmp_path: Path, toy_clip: Path, toy_clap: Path
) -> None:
    """The library would fill in what is missing at random."""
    (tmp_path / "other").mkdir()
    weights, constants = (toy_clap, toy_clip) if name == "clip" else (toy_clip, toy_clap)
    for path in (
        constants / "preprocessor_config.json",
        weights / "config.json",
        weights / "model.safetensors",
    ):
        (tmp_path / "other" / path.name).symlink_to(path)
    with pytest.raises(
        SourceError, match=rf"lacks \d+ weights of a {kind}, first .*; name a model of that kind"
    ):
        embed(name, toy_waves(), tmp_path, model=str(tmp_path / "other"))


def test_an_absent_modality_is_named(tmp_path: Path, toy_clap: Path) -> None:
    with pytest.raises(
        ShardError,
        match=(
            "hold frame, logmel and no wave; "
            r"put wave into decode\.modalities and run `avdistill decode`"
        ),
    ):
        embed("clap", toy_real(), tmp_path, model=str(toy_clap))


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_an_absent_extra_says_how_to_install_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        PluginError,
        match=(
            "needs the package transformers .*; "
            r"install it with: pip install 'avdistill\[encoders\]'"
        ),
    ):
        embed(name, toy_waves(), tmp_path, model="any")
