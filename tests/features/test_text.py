"""Prompts and their vectors: tables of sentences, tiny text towers, offline, a user's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.errors import ParamsError, PluginError, SourceError, StoreError
from pipeline.core.hdf5 import read_table
from pipeline.core.records import space_of
from pipeline.features.extractors import _transformers
from pipeline.features.prompts import Templates, read_prompts
from pipeline.features.store import read_features, read_texts, write_features, write_texts
from stages.extract_text import extract_text
from tests.toys.plugins import built, embed, toy_features
from tests.toys.project import CPU, values
from tests.toys.samples import toy_waves
from tests.toys.space import toy_texts

TWO = Templates(templates=("a {}", "sound of {}"))


def table(folder: Path, *lines: str) -> Path:
    (folder / "prompts.csv").write_text("\n".join(lines) + "\n")
    return folder / "prompts.csv"


# Tables of prompts


def test_names_go_into_templates(tmp_path: Path) -> None:
    prompts = read_prompts(
        table(tmp_path, "class,name", 'Thump_and_thud,"Thump, thud"', "church_bell,"), TWO
    )
    assert prompts.classes == ("Thump_and_thud", "church_bell")
    assert prompts.sentences == (
        "a Thump, thud",
        "a church bell",
        "sound of Thump, thud",
        "sound of church bell",
    )


def test_whole_sentences_stay_as_they_are(tmp_path: Path) -> None:
    rows = ("dog,bare,dog", "cat,bare,cat", "cat,long,I hear a cat {}", "dog,long,a dog barks")
    prompts = read_prompts(table(tmp_path, "class,template,text", *rows), TWO)
    assert (prompts.classes, prompts.templates) == (("cat", "dog"), ("bare", "long"))
    assert prompts.sentences == ("cat", "dog", "I hear a cat {}", "a dog barks")


def test_a_manifests_labels_are_classes(tmp_path: Path) -> None:
    prompts = read_prompts(
        table(tmp_path, "clip_id,label,labels", "1,church_bell,church_bell|bell", "2,dog,dog"), TWO
    )
    assert prompts.classes == ("bell", "church_bell", "dog")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("label_name", "a"),
            "has the columns label_name; expected class,template,text, or class,name, or label",
        ),
        (("class,name",), "has no row; expected one per class"),
        (
            ("class,template,text", "a,t,x", "b,t,y", "a,u,z"),
            "lacks 1 of 4 texts, first that of the class 'b' and the template 'u'",
        ),
        (
            ("class,template,text", "a,t,x", "a,t,y"),
            "has two texts of the class 'a' and the template 't'; keep one",
        ),
        (
            ("class,template,text", "a,t,"),
            "line 2: the text is empty; fill it in or remove the row",
        ),
        (
            ("class,name", "a,dog", "b,dog"),
            "'a' and 'b' have the text 'a dog' in the template 'a {}'; give each class",
        ),
    ],
)
def test_a_bad_table_of_prompts_is_one_sentence(
    lines: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message.replace("{", r"\{")):
        read_prompts(table(tmp_path, *lines), TWO)


@pytest.mark.parametrize("templates", ["[]", "[dog]", "['{} {}']", "['{}', '{}']"])
def test_templates_have_one_slot_each(templates: str) -> None:
    with pytest.raises(ParamsError, match="templates"):
        values(f"extract-text.templates={templates}").build("extract-text", Templates)


# Text towers


def extracted(folder: Path, name: str, *changes: str) -> Path:
    given = values("extract-text.templates=['{}', 'a {}']", *changes)
    prompts = table(folder, "class,name", "x,cat", "y,church bell", "z,dog")
    extract_text(prompts, folder / "text.h5", extractor=name, params=given, device="cpu")
    return folder / "text.h5"


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_texts_lie_in_the_space_of_the_same_model(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = str(request.getfixturevalue(f"toy_{name}"))
    texts, _ = read_texts(extracted(tmp_path, name, f"extract.{name}.model={model}"))
    features = embed(name, toy_waves(), tmp_path, model=model)
    (modality,) = features.vectors
    assert texts.vectors.shape == (2, 3, 6) == (2, 3, features.vectors[modality].shape[1])
    assert np.allclose(np.linalg.norm(texts.vectors, axis=-1), 1, atol=1e-6)
    assert len(np.unique(texts.vectors.reshape(6, 6).round(5), axis=0)) == 6
    assert space_of(texts, "text") == space_of(features.origin, modality)


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_a_text_does_not_depend_on_its_batch(name: str, request: pytest.FixtureRequest) -> None:
    model = str(request.getfixturevalue(f"toy_{name}"))
    sentences = ["dog", "a sound of dog", "church bell", "cat"]
    one, many = (
        replace(built("extractor", name), model=model, batch=batch).embed_texts(sentences, CPU)[0]
        for batch in (1, 4)
    )
    assert np.allclose(one, many, atol=1e-6)


@pytest.mark.parametrize(
    "wrap",
    [lambda x: x, lambda x: SimpleNamespace(pooler_output=x)],
    ids=["version 4", "version 5"],
)
def test_both_return_types_of_text_are_read(wrap: Any, toy_clip: Path) -> None:
    class StandIn(torch.nn.Linear):
        config = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=8))

        def get_text_features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return wrap(input_ids[:, :3].float() + 1)

    assert torch.allclose(
        _transformers.embed_sentences(StandIn(2, 2), str(toy_clip), "main", ["dog", "cat"], 2).norm(
            dim=1
        ),
        torch.ones(2),
    )


def test_a_sentence_that_would_be_cut_is_refused(toy_clap: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match="reads 6 tokens, 'this is a sound of dog' has 8; shorten it"
    ):
        replace(built("extractor", "clap"), model=str(toy_clap)).embed_texts(
            ["dog", "this is a sound of dog"], CPU
        )


def test_a_model_without_a_tokenizer_is_one_sentence(toy_clip: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(toy_clip / name)
    with pytest.raises(
        SourceError,
        match=(
            "makes the same of 'dog' and 'cat'; name a folder that holds the model's tokenizer too"
        ),
    ):
        replace(built("extractor", "clip"), model=str(tmp_path)).embed_texts(["dog", "cat"], CPU)


def test_an_extractor_without_a_text_tower_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match="the extractor convnet reads no text; name clap, clip or external"
    ):
        extracted(tmp_path, "convnet")


# Own vectors, and the table


def own(folder: Path, vectors: np.ndarray) -> str:
    """Vectors of six sentences beside their ids."""
    np.save(folder / "own.npy", vectors)
    (folder / "own.ids.txt").write_text("a church bell\ncat\ndog\na dog\na cat\nchurch bell\n")
    return f"extract.external.sentences={folder / 'own.npy'}"


def test_own_vectors_are_found_by_their_sentence(tmp_path: Path) -> None:
    path = extracted(
        tmp_path,
        "external",
        own(tmp_path, np.arange(12.0).reshape(6, 2)),
        "extract.external.spaces={text: AudioCLIP}",
    )
    texts, _ = read_texts(path)
    assert texts.vectors[:, :, 0].tolist() == [[2, 10, 4], [8, 0, 6]]
    assert space_of(texts, "text") == "AudioCLIP"


def test_own_vectors_that_are_missing_or_none_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"extract\.external\.sentences is null; name the file"):
        extracted(tmp_path, "external")
    vectors = np.arange(12.0).reshape(6, 2)
    with pytest.raises(
        SourceError,
        match=(
            "has no vector for 3 of 6 prompts, the cat, the church bell, the dog; an id is a whole"
        ),
    ):
        extracted(
            tmp_path, "external", own(tmp_path, vectors), "extract-text.templates=['{}', 'the {}']"
        )
    vectors[2, 1] = np.nan
    with pytest.raises(
        SourceError, match=r"own\.npy has NaN or infinite numbers in 1 vectors, dog; repair them"
    ):
        extracted(tmp_path, "external", own(tmp_path, vectors))


def test_a_text_table_comes_back_and_says_what_it_is(tmp_path: Path) -> None:
    texts = toy_texts(np.random.default_rng(0).normal(size=(2, 3, 4)))
    digests = {write_texts(tmp_path / f"{name}.h5", texts) for name in "ab"}
    found, digest = read_texts(tmp_path / "a.h5")
    assert {digest} == digests and (tmp_path / "a.h5").read_bytes() == (
        tmp_path / "b.h5"
    ).read_bytes()
    assert np.array_equal(found.vectors, texts.vectors)
    assert replace(found, vectors=texts.vectors) == texts
    columns, attributes = read_table(tmp_path / "a.h5")
    assert {
        "extractor",
        "params",
        "weights",
        "templates",
        "classes",
        "label_map",
    } <= attributes.keys()
    assert columns["prompt"][columns["template"] == 1].tolist() == [
        "template 1 class0",
        "template 1 class1",
        "template 1 class2",
    ]


def test_texts_and_features_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_texts(tmp_path / "text.h5", toy_texts(np.ones((1, 2, 3))))
    write_features(tmp_path / "features.h5", toy_features())
    with pytest.raises(
        StoreError,
        match=r"features\.h5 is no text table; expected what `avdistill extract-text` writes",
    ):
        read_texts(tmp_path / "features.h5")
    with pytest.raises(StoreError, match=r"text\.h5 is no feature table"):
        read_features(tmp_path / "text.h5")
    with pytest.raises(
        StoreError, match="does not exist; `avdistill extract-text` writes text tables"
    ):
        read_texts(tmp_path / "none.h5")


def test_texts_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    vectors = np.ones((1, 2, 3))
    vectors[0, 1, 2] = np.inf
    with pytest.raises(
        StoreError,
        match="1 of 2 text vectors hold NaN or infinite numbers, first 'template 0 class1'",
    ):
        write_texts(tmp_path / "text.h5", toy_texts(vectors))
