"""A bank of experts: networks trained on the real set, with their weights after every epoch.

Banks serve matching on trained networks (Zhao et al., IDM, CVPR 2023; Zhang et al., DANCE, IJCAI
2024) and trajectory matching (Cazenavette et al., MTT, CVPR 2022). On disk: a folder with
index.json and one safetensors file per expert, in which the first dimension of every parameter is
the epoch, from the start on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pipeline.core import tensors
from pipeline.core.errors import CellError, TensorError
from pipeline.core.files import digest_of, file_digest, read_json, shorten_digest, write_json
from pipeline.core.paths import to_path
from pipeline.core.plugins import pick
from pipeline.models.model import AudioVisual

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.core.paths import AnyPath
    from pipeline.core.records import RealSet
    from pipeline.models.model import HeadPlugin, NetworkPlugin

INDEX = "index.json"
# Weights of one expert: parameter -> [epochs + 1, ...].
Trajectory = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ExpertBank:
    """The experts of one real set.

    Args:
        network: builds every expert's towers.
        head: builds every expert's head.
        shards: digest of the real set that they were trained on.
        about: the index: how they were trained, and each expert's accuracy on the training split
            after its last epoch.
        temperature: output -> divisor of its logits that makes the experts calibrated, see
            `experts.fit_temperature`.
        trajectories: one per expert; all have as many epochs.
    """

    network: NetworkPlugin
    head: HeadPlugin
    shards: str
    about: Mapping[str, Any]
    temperature: Mapping[str, float]
    trajectories: Sequence[Trajectory] = field(repr=False)

    @property
    def epochs(self) -> int:
        """Epochs of training; there is one state more, the start."""
        return len(next(iter(self.trajectories[0].values()))) - 1

    @property
    def rate(self) -> float:
        """Learning rate of the experts' training."""
        return float(self.about["params"]["rate"])

    @property
    def digest(self) -> str:
        """Digest of everything that decides the weights, and of their files."""
        return digest_of(dict(self.about))

    def build_empty_model(self, real: RealSet, device: torch.device) -> AudioVisual:
        """Build a frozen model of the experts' form, whose weights are still to be loaded.

        Args:
            real: the set that the experts were trained on.
            device: where the model is.

        Raises:
            CellError: the bank was trained on another set.
        """
        if self.shards != real.digest:
            raise CellError(
                f"the bank of experts was trained on shards {shorten_digest(self.shards)}, "
                f"the shards here are {shorten_digest(real.digest)}; run `avdistill experts` again"
            )
        generator = torch.Generator()
        towers = self.network.build(real.shapes, generator)
        module = AudioVisual(towers, self.head.build(towers.features, len(real.classes), generator))
        return module.to(device).requires_grad_(False).eval()

    def state_after(self, expert: int, epoch: int) -> dict[str, Tensor]:
        """Return one expert's weights after an epoch.

        Args:
            expert: its number.
            epoch: from 0, the start, to `epochs`.
        """
        return {name: values[epoch] for name, values in self.trajectories[expert].items()}

    def interpolate(self, expert: int, share: float) -> dict[str, Tensor]:
        """Return weights on the straight line from an expert's start to its end.

        As in DANCE (Zhang et al., IJCAI 2024).

        Args:
            expert: its number.
            share: position on the line, 0 the start and 1 the end.
        """
        return {
            name: torch.lerp(values[0], values[-1], share)
            for name, values in self.trajectories[expert].items()
        }


def describe_architecture(network: NetworkPlugin, head: HeadPlugin) -> dict[str, Any]:
    """Return the parameters of a network and a head as JSON values.

    Args:
        network: a plugin, a dataclass.
        head: a plugin, a dataclass.
    """
    return {"network": asdict(network), "head": asdict(head)}  # type: ignore[call-overload]


def write_bank(
    folder: AnyPath,
    files: Sequence[Path],
    about: Mapping[str, Any],
    network: NetworkPlugin,
    head: HeadPlugin,
) -> None:
    """Write the index of a folder of expert files; see `read_bank`.

    Args:
        folder: where the experts' files are.
        files: one per expert, in that folder.
        about: JSON values: params, shards, temperature, accuracy and more.
        network: the experts' network.
        head: the experts' head.
    """
    folder = to_path(folder)
    experts = [{"name": path.name, "sha256": file_digest(path)} for path in files]
    form = describe_architecture(network, head)
    write_json(folder / INDEX, {**about, "form": form, "experts": experts})


def read_bank(
    folder: AnyPath, networks: Mapping[str, NetworkPlugin], heads: Mapping[str, HeadPlugin]
) -> ExpertBank:
    """Read a bank, and check every file by its digest.

    Args:
        folder: written by `write_bank`.
        networks: name -> network; the index names one.
        heads: name -> head; the index names one.

    Raises:
        SourceError: there is no index.
        TensorError: a file is damaged, or the experts are of another network or head than the
            parameters say.
    """
    folder = to_path(folder)
    about, path = read_json(folder / INDEX, "experts"), folder / INDEX
    try:
        bank, form, digests = _parse_index(about, networks, heads)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TensorError(
            f"{path} is no index of experts ({error}); run `avdistill experts` again"
        ) from error
    expected = describe_architecture(bank.network, bank.head)
    if digest_of(form) != digest_of(expected):
        raise TensorError(
            f"{folder} holds experts of {form}, the parameters say {expected}; "
            "run `avdistill experts` again"
        )
    trajectories = [_read_expert(folder / name, digest) for name, digest in digests.items()]
    return replace(bank, trajectories=trajectories)


def _parse_index(
    about: Mapping[str, Any],
    networks: Mapping[str, NetworkPlugin],
    heads: Mapping[str, HeadPlugin],
) -> tuple[ExpertBank, Any, dict[str, str]]:
    """Return a bank without trajectories, its form, and the digest of each expert's file."""
    bank = ExpertBank(
        network=pick(networks, about["params"]["network"], "network"),
        head=pick(heads, about["params"]["head"], "head"),
        shards=about["shards"],
        about=about,
        temperature={name: float(value) for name, value in about["temperature"].items()},
        trajectories=(),
    )
    float(about["params"]["rate"])
    digests = {file["name"]: file["sha256"] for file in about["experts"]}
    if not digests:
        raise ValueError("it lists none")
    return bank, about["form"], digests


def _read_expert(path: Path, digest: str) -> Trajectory:
    if not path.is_file() or file_digest(path) != digest:
        raise TensorError(
            f"{path} is not the file that {INDEX} lists; "
            f"remove {path.parent} and run `avdistill experts` again"
        )
    return tensors.load(path)[0]
