"""A bank of experts: networks trained on the real set, with their weights at the start and after every epoch.

Banks serve matching on trained networks (Zhao et al., IDM, CVPR 2023; Zhang et al., DANCE, IJCAI 2024) and trajectory matching
(Cazenavette et al., MTT, CVPR 2022). On disk: a folder with index.json and one safetensors file per expert, in which every
parameter has a first dimension more, its epochs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.core import tensors
from pipeline.core.errors import CellError, TensorError
from pipeline.core.files import digest_of, file_digest, read_json, shorten_digest, write_json
from pipeline.core.plugins import pick
from pipeline.models.model import AudioVisual

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.core.records import RealSet
    from pipeline.models.model import HeadPlugin, NetworkPlugin

INDEX = "index.json"
# Weights of one expert: parameter -> [epochs + 1, ...].
Course = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ExpertBank:
    """The experts of one real set.

    Args:
        network, head: what every expert is built from; `shards`: digest of the real set that they were trained on.
        about: the index: how they were trained, and what each expert reached on the training split after its last epoch.
        temperature: output -> what its logits are divided by to be as certain as they are right, see pipeline/calibration.py.
        courses: one per expert; all have as many epochs.
    """

    network: NetworkPlugin
    head: HeadPlugin
    shards: str
    about: Mapping[str, Any]
    temperature: Mapping[str, float]
    courses: Sequence[Course] = field(repr=False)

    @property
    def epochs(self) -> int:
        """Epochs of training; there is one state more, the start."""
        return len(next(iter(self.courses[0].values()))) - 1

    @property
    def rate(self) -> float:
        """Step size that the experts were trained with."""
        return float(self.about["params"]["rate"])

    @property
    def digest(self) -> str:
        """Of everything that decides the weights, and of their files."""
        return digest_of(dict(self.about))

    def build_empty_model(self, real: RealSet, device: torch.device) -> AudioVisual:
        """A network of the bank's form for this real set, whose weights are to be loaded; a CellError if the bank is of another."""
        if self.shards != real.digest:
            trained = f"the bank of experts was trained on shards {shorten_digest(self.shards)}, the shards here are {shorten_digest(real.digest)}"
            raise CellError(f"{trained}; run `avdistill experts` again")
        generator = torch.Generator()
        towers = self.network.build(real.shapes, generator)
        module = AudioVisual(towers, self.head.build(towers.features, len(real.classes), generator))
        return module.to(device).requires_grad_(False).eval()

    def state(self, expert: int, epoch: int) -> dict[str, Tensor]:
        """One expert's weights after an epoch; 0 is its start."""
        return {name: values[epoch] for name, values in self.courses[expert].items()}

    def interpolate(self, expert: int, share: float) -> dict[str, Tensor]:
        """Weights on the straight line from an expert's start (share 0) to its end (1), as in DANCE (Zhang et al., IJCAI 2024)."""
        return {
            name: torch.lerp(values[0], values[-1], share)
            for name, values in self.courses[expert].items()
        }


def write_bank(
    folder: Path,
    courses: Sequence[Path],
    about: Mapping[str, Any],
    network: NetworkPlugin,
    head: HeadPlugin,
) -> None:
    """Add the index to a folder of expert files; see `read_bank`."""
    files = [{"name": path.name, "sha256": file_digest(path)} for path in courses]
    write_json(
        folder / INDEX, {**about, "form": _describe_architecture(network, head), "experts": files}
    )


def read_bank(
    folder: Path, networks: Mapping[str, NetworkPlugin], heads: Mapping[str, HeadPlugin]
) -> ExpertBank:
    """The bank in a folder, every file checked by its digest; its network and head are those of the same names.

    Raises:
        SourceError: there is no index.
        TensorError: a file is damaged, or the experts are of another network or head than the parameters say.
    """
    about = read_json(folder / INDEX, "experts")
    try:
        named, files, shards = (
            about["params"],
            {file["name"]: file["sha256"] for file in about["experts"]},
            about["shards"],
        )
        network, head = (
            pick(networks, named["network"], "network"),
            pick(heads, named["head"], "head"),
        )
        form, _ = about["form"], float(named["rate"])
        temperature = {name: float(value) for name, value in about["temperature"].items()}
        if not files:
            raise ValueError("it lists none")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TensorError(
            f"{folder / INDEX} is no index of experts ({error}); run `avdistill experts` again"
        ) from error
    if digest_of(form) != digest_of(_describe_architecture(network, head)):
        told = f"{folder} holds experts of {form}, the parameters say {_describe_architecture(network, head)}"
        raise TensorError(f"{told}; run `avdistill experts` again")
    for name, digest in files.items():
        path = folder / name
        if not path.is_file() or file_digest(path) != digest:
            raise TensorError(
                f"{path} is not the file that {INDEX} lists; remove {folder} and run `avdistill experts` again"
            )
    courses = [tensors.load(folder / name)[0] for name in files]
    return ExpertBank(
        network=network,
        head=head,
        shards=shards,
        about=about,
        temperature=temperature,
        courses=courses,
    )


def _describe_architecture(network: NetworkPlugin, head: HeadPlugin) -> dict[str, Any]:
    return {"network": asdict(network), "head": asdict(head)}  # type: ignore[call-overload]
