"""Speed and memory of all models in training and inference, beside the papers' efficiency tables.

    python benchmarks/gpu_models.py [--json FILE] [--markdown FILE] [--size 256] [--models a,b]
        [--device cuda] [--precision bf16-mixed] [--batch 16] [--seconds 3] [--compile]
        [--set MODEL.OPTION=VALUE]

Every model gets made-up maps in its own channels; the weights are those of a fresh model, which
take as long as trained ones. Training is the forward and backward passes and the steps of all turns
of the last phase, inference is ``predict`` as `rmtools benchmark` times it. On a CPU the same runs
slowly: give ``--size 64 --batch 2 --seconds 0.2 --precision 32-true``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rmtools.models import MODELS, build, find
from rmtools.models.interface import count_parameters
from rmtools.models.judging.plan import parse_settings
from rmtools.models.judging.predictions import HALF, autocast
from rmtools.models.judging.published import published
from rmtools.models.judging.tables import number, table
from rmtools.models.judging.timing import Budget, device_name, measure

from rmtools.errors import RmtoolsError
from rmtools.files import write_text
from rmtools.layouts.tensors import build_maps, build_windows, move, planes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rmtools.models.interface import Batch, RadioModel

TASKS = ("static", "sparse-dynamic", "sparse", "dynamic", "forecast")
"""A model is measured in the first of these that it can do."""

SAMPLES = 9


def make(name: str, size: int, options: dict[str, Any] | None = None) -> RadioModel:
    """A model for maps of a size, in the first task of :data:`TASKS` that it can do."""
    kind = find(name)
    task = next(task for task in TASKS if task in kind.conventions)
    known = kind.options()
    given = {"size": size} if "size" in known else {}
    if "samples" in known and task.startswith("sparse"):
        given["samples"] = SAMPLES
    model = build(name, task=task, **{**given, **(options or {})})
    if model.convention.samples is not None:
        model.convention = replace(model.convention, samples=(SAMPLES, SAMPLES))
    return model


def made_up(model: RadioModel, size: int, count: int, seed: int = 0) -> Batch:
    """A batch in the channels of a model: a block of houses in each quarter, a smooth map."""
    random = torch.Generator().manual_seed(seed)
    row, col = torch.randint(size // 2 - 2, size // 2 + 3, (2, count), generator=random)
    axis = torch.arange(size)
    far = (axis[:, None] - row[:, None, None]) ** 2 + (axis[None] - col[:, None, None]) ** 2
    grey = (250 - 55 * (1 + far.float()).log10()).clamp(0, 255).to(torch.uint8)[:, None]
    quarter = (axis % (size // 2) > size // 8) & (axis % (size // 2) < size // 2 - size // 8)
    houses = (quarter[:, None] & quarter[None]).to(torch.uint8).expand(count, size, size)
    grey = grey * (1 - houses[:, None])
    meta = {
        key: torch.arange(count) if key == "tx" else torch.zeros(count, dtype=torch.int64)
        for key in ("scene", "traj", "tx", "frame")
    }
    meta |= {"tx_row": row, "tx_col": col, "gain_db": torch.tensor([95.5, -135.0]).expand(count, 2)}
    convention = model.convention
    if convention.window is not None:
        _, context, horizon = convention.window
        frames = grey[:, None].repeat(1, context + horizon, 1, 1, 1)
        return build_windows({"frames": frames, "meta": meta}, context, convention)
    planes = {
        "buildings": houses,
        "transmitter": (far == 0).to(torch.uint8),
        "vehicles": torch.zeros_like(houses),
    }
    raw: Batch = {
        "planes": torch.stack([planes[plane] for plane in planes_of(convention)], 1),
        "target": grey,
        "meta": meta,
    }
    if convention.samples is not None:
        free = torch.rand(count, size * size, generator=random) * (1 - houses.reshape(count, -1))
        chosen = free.topk(convention.samples[0], 1).indices
        mask = torch.zeros(count, size * size, dtype=torch.bool).scatter_(1, chosen, True)  # noqa: FBT003
        raw["mask"] = mask.reshape(count, 1, size, size)
    return build_maps(raw, convention)


def steps(model: RadioModel, batch: Batch, precision: str) -> Callable[[], None] | None:
    """One step of training as a function; None for what has no phases."""
    phases = model.phases()
    if not phases:
        return None
    device = batch["target"].device
    turns = [(turn, list(turn.parameters)) for turn in phases[-1].turns]
    optimisers = [torch.optim.AdamW(parameters, 1e-5) for _, parameters in turns]
    every = list(model.parameters())
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "16-mixed")

    def step() -> None:
        for (turn, parameters), optimiser in zip(turns, optimisers, strict=True):
            own = {id(parameter) for parameter in parameters}
            for parameter in every:
                parameter.requires_grad_(id(parameter) in own)
            with autocast(device, precision):  # type: ignore[arg-type]  # a choice of the parser
                loss = turn.loss(batch)["loss"]
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad(set_to_none=True)

    return step


def train_rate(
    model: RadioModel, batch: Batch, precision: str, seconds: float
) -> dict[str, float | None]:
    """Maps (or predicted frames) a second in training, and the peak of memory on a GPU in MB."""
    device = batch["target"].device
    model.to(device).train()
    step = steps(model, batch, precision)
    if step is None:
        return {"train_maps_per_s": None, "train_memory_mb": None}
    cuda = device.type == "cuda"
    step()  # warm-up
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
    count, begin = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - begin < seconds:
        step()
        if cuda:
            torch.cuda.synchronize(device)
        count += 1
    spent = time.perf_counter() - begin
    target = batch["target"]
    maps = len(target) * (target.shape[1] if target.ndim == 5 else 1)
    memory = torch.cuda.max_memory_allocated(device) / 1e6 if cuda else None
    return {"train_maps_per_s": count * maps / spent, "train_memory_mb": memory}


def one(name: str, options: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """All figures of one model."""
    device = torch.device(args.device)
    model = make(name, args.size, options)
    found: dict[str, Any] = {
        "model": name,
        "title": model.title,
        "task": model.task,
        "parameters": count_parameters(model),
    }
    timing = measure(
        model,
        lambda count: made_up(model, args.size, count),
        device=device,
        precision=args.precision,
        compiled=args.compile,
        budget=Budget(seconds=args.seconds, largest=args.largest),
    )
    found |= {**timing.model_dump(), "ms_per_map": timing.ms_per_map}
    found["maps_per_s"] = timing.maps_per_s
    batch = move(made_up(model, args.size, args.batch), device)
    return found | train_rate(model, batch, args.precision, args.seconds)


def markdown(rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> str:
    """The table, and the papers' below it."""
    head = ["model", "task", "parameters (M)", "ms per map, batch 1", "maps/s", "best batch"]
    head += ["memory (MB)", "training maps/s", "training memory (MB)"]
    body = [
        [
            row["model"],
            row["task"],
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['ms_per_map']:.2f}",
            f"{row['maps_per_s']:.1f}",
            str(row["best_batch"]),
            number("memory_mb", row["memory_mb"]),
            "-" if row["train_maps_per_s"] is None else f"{row['train_maps_per_s']:.1f}",
            number("memory_mb", row["train_memory_mb"]),
        ]
        for row in rows
        if "failed" not in row
    ]
    papers = [
        [
            f"{claim.paper.title}, {claim.table.table}",
            claim.model,
            *(number(c, claim.values.get(c)) for c in ("seconds", "parameters_m", "memory_mb")),
        ]
        for claim in published().claims("cost")
    ]
    compiled = "with" if args.compile else "without"
    lines = [
        f"{device_name(torch.device(args.device))}, torch {torch.__version__}, {args.precision}, "
        f"{args.size} pixels a side, training batches of {args.batch}, {compiled} torch.compile:",
        "",
        *table(head, body),
        *(f"\n{row['model']}: {row['failed']}" for row in rows if "failed" in row),
        "",
        "The papers print, on their GPUs at 256 pixels:",
        "",
        *table(["paper", "model", "seconds", "parameters_m", "memory_mb"], papers),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    cuda = torch.cuda.is_available()
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--precision", choices=["32-true", *HALF], default="bf16-mixed")
    parser.add_argument("--batch", type=int, default=16, help="of training")
    parser.add_argument("--largest", type=int, default=256, help="batch of inference tried")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="MODEL.OPTION=VALUE")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args(arguments)
    names = args.models.split(",")
    options, _ = parse_settings(args.set, names)
    rows = []
    for name in names:
        try:
            rows.append(one(name, options[name], args))
        except (RmtoolsError, ImportError, RuntimeError) as error:  # the others go on
            rows.append({"model": name, "failed": f"{type(error).__name__}: {error}"})
        row = rows[-1]
        print(row.get("failed") or f"{name}: {row['maps_per_s']:.1f} maps/s", flush=True)
        if cuda:
            torch.cuda.empty_cache()
    text = markdown(rows, args)
    print(f"\n{text}")
    if args.json:
        settings = {key: str(value) for key, value in vars(args).items()}
        write_text(args.json, json.dumps({"settings": settings, "models": rows}, indent=1) + "\n")
    if args.markdown:
        write_text(args.markdown, text)
    return rows


if __name__ == "__main__":
    main()
