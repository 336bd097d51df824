"""Measure seconds per distillation step of dm and avdd, beside a plain loop.

    python benchmarks/distill_step.py [--pixels 32 56 112] [--ipc 1 10] [--methods dm avdd] \\
        [--steps N] [--rounds R] [--threads T] [--profile]
    python benchmarks/distill_step.py --device cuda --pixels 224 --batch-real 128 --samples 880 \\
        --steps 50

On a GPU it also measures the device's own limits and prints the times that they allow. `--profile`
shows the kernels of our step.

The plain loop is the published one of AVDD (TMLR 2024), written out here: float32 rows, normalised
beforehand; class by class draw, decode by bilinear upsampling, augment, embed, loss, backward; one
SGD step on the tensor that holds all classes; the default allocator; on a GPU the rows are in its
memory. Its networks are AvgPool2d blocks; the layer that the authors sample and never use is left
out. Our side runs as `avdistill distill` does. Both take the same data, draws, augmentations and
threads, each in its own process, and alternate.
"""

# No import of torch at the top: this process stays small, and each side imports it in its own.
from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor, nn

    from pipeline.core.records import RealSet, SyntheticSet
    from pipeline.coresets.rankings import Coreset

CLASSES, MOMENTUM = 10, 0.5
PUBLISHED = ("color", "crop", "cutout", "flip", "scale", "rotate")
GRIDS = {"frame": (2, 2), "logmel": (2, 2)}
# The published learning rate; others take the same time.
RATE = 0.2
# Relative difference of one step's loss between the two sides: on a CPU both are float32; on a GPU
# ours is bfloat16, the plain one float32 on tensor cores.
TOLERANCE = {"cpu": 1e-4, "cuda": 1e-3}
COLUMNS = (
    "pixels",
    "ipc",
    "method",
    "ours s",
    "plain s",
    "plain / ours",
    "in CPU s",
    "ours MiB",
    "plain MiB",
)
CEILING_COLUMNS = ("arithmetic s", "bytes s", "ours / the larger")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A row of the table.

    Networks and shapes are the published ones, at 32 pixels those of params.yaml.

    Args:
        pixels: height and width of frames.
        ipc: stored instances per class.
        method: dm or avdd.
        steps: steps that are timed.
        threads: threads of torch.
        device: cpu or cuda.
        batch_real: real samples per class and step.
        samples: real samples per class.
        augment: whether batches are augmented.
    """

    pixels: int
    ipc: int
    method: str
    steps: int
    threads: int
    device: str = "cpu"
    batch_real: int = 16
    samples: int = 60
    augment: bool = True

    @property
    def is_small(self) -> bool:
        return self.pixels <= 32

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "frame": (1, 3, self.pixels, self.pixels),
            "logmel": (1, 32, 32) if self.is_small else (1, 128, 56),
        }

    @property
    def network(self) -> dict[str, Any]:
        depth = {"frame": 5 if self.pixels >= 224 else 4 if self.pixels >= 112 else 3, "logmel": 3}
        return {
            "width": 32 if self.is_small else 128,
            "grid": 4 if self.is_small else 7,
            "depth": depth,
            "padding": {"frame": 1, "logmel": 3},
        }

    @property
    def operations(self) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(GRIDS, PUBLISHED if self.augment else ())

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of joint and of gap matching."""
        return (10.0, 10.0) if self.method == "avdd" else (0.0, 0.0)


def main() -> None:
    """Check both sides, measure each row in pairs, and print the table."""
    args = parse_arguments()
    if args.side:
        print(json.dumps(SIDES[args.side](Setting(**json.loads(args.setting)))))
        return
    common = {
        name: getattr(args, name)
        for name in ("steps", "threads", "device", "batch_real", "samples")
    }
    rows = [
        Setting(pixels=pixels, ipc=ipc, method=method, **common)
        for pixels in args.pixels
        for ipc in args.ipc
        for method in args.methods
    ]
    print(format_headline(args))
    for method in args.methods:
        print(check_losses(method, args.threads, args.device))
    limits = run_side("ceilings", rows[0]) if args.device == "cuda" else {}
    if limits:
        print(
            f"ceilings, measured: {limits['flops'] / 1e12:.0f} TFLOP/s (bf16, 8192 cubed), "
            f"{limits['bytes'] / 1e12:.2f} TB/s (copy)"
        )
    columns = (*COLUMNS, *(CEILING_COLUMNS if limits else ()))
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for row in rows:
        pairs = [time_pair(row) for _ in range(args.rounds)]
        ceilings = format_ceilings(row, pairs, limits) if limits else ""
        print(format_row(row, pairs) + ceilings, flush=True)
    if args.profile:
        print(run_side("profile", rows[0])["table"])


def format_headline(args: argparse.Namespace) -> str:
    """Describe the machine and the settings that all rows share."""
    return f"""{describe_machine(args.device)}, {args.threads} threads
seconds per step, mean of {args.steps} steps, medians of {args.rounds} pairs
{CLASSES} classes x {args.samples} samples, batch_real {args.batch_real}, 4 pieces
log-mel 128 x 56, ConvNet of width 128, grid 7, depth 3 for log-mels and 5, 4, 3 for frames of 224,
112, fewer pixels
at 32: log-mel 32 x 32, width 32, grid 4, depth 3
MiB is the peak of the whole process, its libraries included; on a GPU, of the device's memory"""


def time_pair(row: Setting) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run both sides once, and print their times at once."""
    ours, plain = run_side("ours", row), run_side("plain", row)
    print(
        f"{row.pixels} pixels, IPC {row.ipc}, {row.method}: "
        f"ours {ours['wall']:.3g} s, plain {plain['wall']:.3g} s",
        file=sys.stderr,
    )
    return ours, plain


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, nargs="+", default=[32, 56, 112])
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--methods", nargs="+", choices=["dm", "avdd"], default=["dm", "avdd"])
    parser.add_argument(
        "--steps", type=int, default=3, help="timed steps per run, after the steps that warm up"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch-real", type=int, default=16)
    parser.add_argument("--samples", type=int, default=60, help="real samples per class")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="print the kernels of our step for the first row",
    )
    parser.add_argument("--side", choices=[*SIDES], help=argparse.SUPPRESS)
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    return parser.parse_args()


def describe_machine(device: str) -> str:
    """Describe the processor or the GPU, and the version of torch."""
    if device == "cuda":
        import torch

        return f"{torch.cuda.get_device_name()}, torch {version('torch')}"
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [
        line.split(":", 1)[1].strip()
        for line in cpuinfo.splitlines()
        if line.startswith("model name")
    ]
    name = models[0] if models else platform.machine()
    return f"{name}, {os.cpu_count()} cores, torch {version('torch')}"


def run_side(side: str, setting: Setting) -> dict[str, Any]:
    """Run one side in its own process, and return its result."""
    command = [sys.executable, __file__, "--side", side, "--setting", json.dumps(asdict(setting))]
    # Waiting threads sleep, as in the Makefile: CPU seconds would include spinning.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(setting.threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        sys.exit(f"{side}, {setting}: {result.stderr.strip()}")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def format_row(row: Setting, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """Format a row of the table: medians over the pairs."""
    ours, plain = (
        {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for runs in zip(*pairs, strict=True)
    )
    wall, cpu = (statistics.median(b[key] / a[key] for a, b in pairs) for key in ("wall", "cpu"))
    times = f"{ours['wall']:.3g} | {plain['wall']:.3g} | {wall:.2f} | {cpu:.2f}"
    memory = f"{ours['mib']:.0f} | {plain['mib']:.0f}"
    return f"| {row.pixels} | {row.ipc} | {row.method} | {times} | {memory} |"


def format_ceilings(
    row: Setting, pairs: list[tuple[dict[str, float], dict[str, float]]], limits: dict[str, float]
) -> str:
    """Return the times of a row's arithmetic and fewest bytes at the ceilings, beside ours."""
    flops, moved = count_work(row)
    arithmetic, copying = flops / limits["flops"], moved / limits["bytes"]
    wall = statistics.median(ours["wall"] for ours, _ in pairs)
    return f" {arithmetic:.3g} | {copying:.3g} | {wall / max(arithmetic, copying):.2f} |"


def count_work(row: Setting) -> tuple[float, float]:
    """Return the floating-point operations and the fewest bytes of a step.

    Each real row is read once, each synthetic one is read and written. The gradient of a synthetic
    row costs as much as another forward pass; weights have no gradient, since networks are fixed.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    flops = 0
    for m, shape in row.shapes.items():
        with FlopCounterMode(display=False) as counter, torch.device("meta"):
            build_tower(row, m)(torch.empty(1, *shape[-3:]))
        flops += counter.get_total_flops()
    real, pieces = CLASSES * row.batch_real, CLASSES * row.ipc * 4
    pixels = {m: math.prod(shape) for m, shape in row.shapes.items()}
    stored = real * (pixels["frame"] + 2 * pixels["logmel"]) + 8 * pieces // 4 * sum(
        pixels.values()
    )
    return flops * (real + 2 * pieces), stored


def check_losses(method: str, threads: int, device: str) -> str:
    """Return a sentence on the equal losses of both sides; end the program if they differ."""
    setting = Setting(
        pixels=56, ipc=2, method=method, steps=1, threads=threads, device=device, augment=False
    )
    losses = run_side("check", setting)
    difference = abs(losses["ours"] / losses["plain"] - 1)
    if not difference <= TOLERANCE[device]:
        sys.exit(
            f"{method}: the two sides differ, loss {losses['ours']} and {losses['plain']}; "
            "nothing was measured"
        )
    return (
        f"checked, {method}: same network, same draws, no augmentation: "
        f"loss {losses['ours']:.6g} on both sides, {difference:.0e} apart"
    )


# The functions below run in the process of one side.


class Stopwatch:
    """Times steps; it is called after each one, and the first steps do not count.

    The loss is an argument, so a GPU has finished the step.

    Args:
        setting: the row.
    """

    def __init__(self, setting: Setting) -> None:
        self.losses: list[float] = []
        self.device = setting.device
        # Kernels are compiled or loaded at their first use, and each augmentation has its own.
        self.warm = 1 if setting.device == "cpu" else 15

    def __call__(self, done: int, total: int, *, loss: float, **figures: float) -> None:
        self.losses.append(loss)
        self.last = time.perf_counter(), time.process_time()
        if done == self.warm:
            self.first = self.last

    def result(self) -> dict[str, float]:
        """Return the mean seconds per step, and the process's peak of memory."""
        wall, cpu = (
            (b - a) / (len(self.losses) - self.warm)
            for a, b in zip(self.first, self.last, strict=True)
        )
        return {"wall": wall, "cpu": cpu, "mib": self._mib()}

    def _mib(self) -> float:
        import torch

        if self.device == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_ours(setting: Setting) -> dict[str, float]:
    """Time our engine, with the memory policy of the command line."""
    import torch

    from stages._runtime import device_of

    torch.set_num_threads(setting.threads)
    device, watch = device_of(setting.device), Stopwatch(setting)
    distil(setting, make_real_set(setting), setting.steps + watch.warm, device, watch)
    return watch.result()


def profile_step(setting: Setting) -> dict[str, str]:
    """Return a table of the kernels of ten of our steps, the longest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    from stages._runtime import device_of

    real, device, watch = make_real_set(setting), device_of(setting.device), Stopwatch(setting)
    distil(setting, real, watch.warm, device, watch)
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if setting.device == "cuda" else [])]
    with profiler(activities=kinds) as profiled:
        distil(setting, real, 10, device, Stopwatch(setting))
    return {
        "table": profiled.key_averages().table(
            sort_by=f"self_{setting.device}_time_total", row_limit=30, max_name_column_width=70
        )
    }


def measure_ceilings(setting: Setting) -> dict[str, float]:
    """Measure a device: operations per second of a large bf16 product, and bytes of a copy."""
    import torch

    a, b = (torch.randn(8192, 8192, device=setting.device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.randn(2**30, device=setting.device)
    target = torch.empty_like(source)
    return {
        "flops": 2 * 8192**3 / time_on_gpu(lambda: a @ b),
        "bytes": 2 * source.nbytes / time_on_gpu(lambda: target.copy_(source)),
    }


def time_on_gpu(work: Callable[[], object], times: int = 20) -> float:
    """Return the median seconds of several runs on a GPU, after three that warm up."""
    import torch

    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(times)]
    for _ in range(3):
        work()
    for first, last in events:
        first.record()
        work()
        last.record()
    torch.cuda.synchronize()
    return statistics.median(first.elapsed_time(last) for first, last in events) / 1000


def time_plain(setting: Setting) -> dict[str, float]:
    """Time the published loop, with the default allocator."""
    import torch

    torch.set_num_threads(setting.threads)
    watch = Stopwatch(setting)
    real = make_real_set(setting)
    run_published_loop(setting, real, make_start(setting, real), setting.steps + watch.warm, watch)
    return watch.result()


def compute_first_losses(setting: Setting) -> dict[str, float]:
    """Return the first loss of each side; the plain side takes the weights of our network."""
    import torch

    from pipeline.core.rng import make_generator
    from pipeline.models.networks.convnet import Network

    torch.set_num_threads(setting.threads)
    real, watches = make_real_set(setting), (Stopwatch(setting), Stopwatch(setting))
    distil(setting, real, 1, torch.device(setting.device), watches[0])
    module = Network(**setting.network).build(setting.shapes, make_generator("network", 0, 0))
    weights = {m: tower.state_dict() for m, tower in module.towers.items()}
    run_published_loop(setting, real, make_start(setting, real), 1, watches[1], weights)
    return {"ours": watches[0].losses[0], "plain": watches[1].losses[0]}


SIDES: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "ours": time_ours,
    "plain": time_plain,
    "check": compute_first_losses,
    "ceilings": measure_ceilings,
    "profile": profile_step,
}


def make_real_set(setting: Setting) -> RealSet:
    """Make noise in the stored types, which the normalisation brings to about unit scale."""
    import torch

    from pipeline.core.records import Normalisation, RealSet
    from pipeline.core.rng import make_generator

    count, generator, shapes = (
        CLASSES * setting.samples,
        make_generator("benchmark"),
        setting.shapes,
    )
    return RealSet(
        rows={
            "frame": torch.randint(
                256, (count, *shapes["frame"]), generator=generator, dtype=torch.uint8
            ),
            "logmel": torch.randn(count, *shapes["logmel"], generator=generator)
            .mul(15)
            .sub(30)
            .half(),
        },
        label=torch.arange(CLASSES).repeat_interleave(setting.samples),
        keys=tuple(f"{i:04d}" for i in range(count)),
        clips=tuple(f"{i:04d}" for i in range(count)),
        classes=tuple(f"{i}" for i in range(CLASSES)),
        normalisation={
            "frame": Normalisation(scale=1 / 255, mean=(0.5,) * 3, std=(0.29,) * 3, fill=0.0),
            "logmel": Normalisation(scale=1.0, mean=(-30.0,), std=(15.0,), fill=0.0),
        },
        preprocessing="",
        digest="",
    )


def make_coreset(real: RealSet) -> Coreset:
    """Return a ranking of the samples in their order."""
    from pipeline.coresets.rankings import Coreset, Ranking

    count = len(real.keys) // len(real.classes)
    ranking = Ranking(
        {name: real.keys[i * count : (i + 1) * count] for i, name in enumerate(real.classes)}
    )
    return Coreset(selector="given", seed=0, table="", shards=real.digest, ranking=ranking)


def make_start(setting: Setting, real: RealSet) -> SyntheticSet:
    """Form the synthetic set that both sides start from."""
    from pipeline.distillation.methods._selection import form

    return form(real, make_coreset(real).select, setting.ipc, GRIDS)


def distil(
    setting: Setting, real: RealSet, steps: int, device: torch.device, watch: Stopwatch
) -> None:
    """Run the method's plugin on the engine."""
    from pipeline.core import plugins
    from pipeline.distillation.inputs import DistillInputs, Runtime
    from pipeline.models.networks.convnet import Network

    weights = (
        dict(zip(("weight_joint", "weight_gap"), setting.weights, strict=True))
        if setting.method == "avdd"
        else {}
    )
    distiller = plugins.find("method", setting.method)(
        network="convnet",
        start="given",
        steps=steps,
        batch_real=setting.batch_real,
        rates=dict.fromkeys(GRIDS, (RATE,)),
        momentum=MOMENTUM,
        formation=GRIDS,
        augment=setting.operations,
        **weights,
    )
    inputs = DistillInputs(
        real=real,
        coresets={"given": make_coreset(real)},
        networks={"convnet": Network(**setting.network)},
    )
    distiller.distill(inputs, ipc=setting.ipc, seed=0, runtime=Runtime(device=device, report=watch))


# The published loop.


def run_published_loop(
    setting: Setting,
    real: RealSet,
    start: SyntheticSet,
    steps: int,
    watch: Stopwatch,
    weights: dict[str, Any] | None = None,
) -> None:
    """Distil class by class, as published.

    Args:
        setting: the row.
        real: the real set.
        start: the synthetic set to start from.
        steps: number of steps.
        watch: called after each step.
        weights: modality -> weights of the networks; by default each step draws new ones.
    """
    import torch

    from pipeline.core.rng import make_generator

    whole = {m: values.to(setting.device) for m, values in real.normalise(slice(None)).items()}
    members = [real.indices_of(label) for label in range(CLASSES)]
    rows = {
        m: values.to(setting.device, copy=True).requires_grad_() for m, values in start.rows.items()
    }
    optimiser = torch.optim.SGD(
        [{"params": [values], "lr": RATE} for values in rows.values()], momentum=MOMENTUM
    )
    for step in range(steps):
        networks = {
            m: build_tower(setting, m).requires_grad_(False).to(setting.device) for m in rows
        }
        for m, state in (weights or {}).items():
            networks[m].load_state_dict(state)
        generator, total = make_generator("batch", 0, step), 0.0
        for label in range(CLASSES):
            order = torch.randperm(setting.samples, generator=generator)
            real_rows = members[label][order[: setting.batch_real]]
            own_rows = slice(label * setting.ipc, (label + 1) * setting.ipc)
            gaps = {}
            for m in rows:
                batch = augment_rows(whole[m][real_rows].flatten(0, -4), setting, step)
                pieces = augment_rows(decode(rows[m][own_rows].flatten(0, -4)), setting, step)
                target, mean = (networks[m](x).flatten(1).mean(0) for x in (batch, pieces))
                gaps[m] = target - mean
            loss = compute_loss(gaps["logmel"], gaps["frame"], *setting.weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        watch(step + 1, steps, loss=total)


def compute_loss(a: Tensor, v: Tensor, joint: float, gap: float) -> Tensor:
    """Compute the published loss of one class; a term of weight 0 is left out."""
    loss = (a**2).sum() + (v**2).sum()
    loss = loss + joint * ((a + v) ** 2).sum() if joint else loss
    return loss + gap * ((a - v) ** 2).sum() if gap else loss


def build_tower(setting: Setting, modality: str) -> nn.Sequential:
    """Build a tower with PyTorch's weights: convolution, instance norm, ReLU, average pool."""
    from torch import nn

    width, grid, depth = (setting.network[key] for key in ("width", "grid", "depth"))
    layers: list[nn.Module] = []
    for block in range(depth[modality]):
        channels = width if block else setting.shapes[modality][-3]
        last = block == depth[modality] - 1
        layers += [
            nn.Conv2d(
                channels, width, 3, padding=1 if block else setting.network["padding"][modality]
            ),
            nn.GroupNorm(width, width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(grid) if last and modality == "logmel" else nn.AvgPool2d(2),
        ]
    return nn.Sequential(*layers)


def decode(rows: Tensor) -> Tensor:
    """Return the quadrants, enlarged: top left, bottom left, top right, bottom right."""
    import torch
    import torch.nn.functional as F

    high, wide = rows.shape[-2] // 2, rows.shape[-1] // 2
    corners = [
        rows[..., top : top + high, left : left + wide] for left in (0, wide) for top in (0, high)
    ]
    return torch.cat(
        [F.interpolate(c, scale_factor=2, mode="bilinear", align_corners=False) for c in corners]
    )


def augment_rows(x: Tensor, setting: Setting, step: int) -> Tensor:
    """Apply one of DSA's operations, the same to all rows of a step; gaps are filled with 0."""
    import torch
    import torch.nn.functional as F

    from pipeline.core.rng import make_generator

    if not setting.augment:
        return x
    draw = torch.rand(8, generator=make_generator("augment", 0, step)).tolist()
    operation, u, w, z = PUBLISHED[int(draw[0] * len(PUBLISHED))], *draw[1:4]
    if operation == "flip":
        return x.flip(-1) if u < 0.5 else x
    if operation == "color":
        x = x + (u - 0.5)
        x = (x - x.mean(1, keepdim=True)) * (2 * w) + x.mean(1, keepdim=True)
        return (x - x.mean((1, 2, 3), keepdim=True)) * (z + 0.5) + x.mean((1, 2, 3), keepdim=True)
    if operation in ("scale", "rotate"):
        return warp(x, operation, u, w)
    high, wide = x.shape[-2:]
    if operation == "cutout":
        top, left = int(u * high), int(w * wide)
        mask = x.new_ones(high, wide)
        mask[
            max(top - high // 4, 0) : top + high // 4, max(left - wide // 4, 0) : left + wide // 4
        ] = 0
        return x * mask
    edge, side = high // 8, wide // 8
    down, right = int(u * (2 * edge + 1)), int(w * (2 * side + 1))
    return F.pad(x, (side, side, edge, edge))[..., down : down + high, right : right + wide]


def warp(x: Tensor, operation: str, u: float, w: float) -> Tensor:
    """Scale or rotate rows by the draws u and w, at most by a factor of 1.2 or 15 degrees."""
    import torch.nn.functional as F

    wide, high = (1 / 1.2 + (1.2 - 1 / 1.2) * share for share in (u, w))
    angle = (2 * u - 1) * math.radians(15)
    matrices = {
        "scale": [[wide, 0.0, 0.0], [0.0, high, 0.0]],
        "rotate": [
            [math.cos(angle), -math.sin(angle), 0.0],
            [math.sin(angle), math.cos(angle), 0.0],
        ],
    }
    matrix = x.new_tensor(matrices[operation]).expand(len(x), 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


if __name__ == "__main__":
    main()
