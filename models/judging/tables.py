"""``benchmark.md``: a result as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rmtools.metrics import REFERENCE, load_protocol
from rmtools.metrics.evaluation import OUTSIDE_BUILDINGS
from rmtools.metrics.surroundings import LINE_OF_SIGHT, SHADOW

from .published import Column, published
from .results import span
from .studies import by_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .published import About
    from .results import Benchmark, Judged, Scores, Study, Value

LEAKY = "LEAKY SPLIT: these numbers are no measure of unseen scenes"
"""Stands on everything that comes from a split that leaks."""

MAIN = ("nmse", "rmse", "rmse_db", "mae", "ssim", "psnr")
PARTS = (OUTSIDE_BUILDINGS, LINE_OF_SIGHT, SHADOW)


def markdown(result: Benchmark) -> str:
    """The whole page.

    Parameters
    ----------
    result
        Nothing else is needed.
    """
    blocks = [
        [f"# Benchmark: {result.task}, {result.dataset.title}"],
        [f"> **{LEAKY}**", *(f"> {leak}" for leak in result.audit.leaks)] if result.leaky else [],
        _facts(result),
        _heading("Errors on the test set", result),
        _main(result),
        _failed(result),
        *_other_protocols(result),
        *_frames(result),
        *(block for study in result.studies for block in _study(study, result)),
        *_cost(result),
        *_beside(result),
        *_how(result),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def lines(result: Benchmark) -> list[str]:
    """The first table, for the terminal."""
    return [*([LEAKY] if result.leaky else []), *_main(result), *_failed(result)]


def _heading(text: str, result: Benchmark) -> list[str]:
    return [f"## {text}" + (" (LEAKY SPLIT)" if result.leaky else "")]


def _facts(result: Benchmark) -> list[str]:
    data, split = result.dataset, result.split
    scores = next((judged.scores for judged in result.models), None)
    facts = {
        "dataset": f"{data.title}, {data.kind}, {data.scenes} scenes of {data.pixels} x "
        f"{data.pixels} pixels ({data.resolution_m:g} m)",
        "split": f"{split.name}, judged on {split.set}, sha256 {split.sha256[:16]}",
        "maps": f"{scores.maps:,}, scale {scores.scale.name} ({scores.scale.span_db:.2f} dB)"
        if scores
        else "none",
        "recipe": f"{result.recipe}, seed {result.seed}",
        "machine": f"{result.machine.device}, torch {result.machine.torch}, "
        f"{result.machine.precision}",
    }
    if result.samples is not None:
        facts["samples"] = f"{span(result.samples)} of each map, the same places for all models"
    if result.frames is not None:
        facts["frames"] = ", ".join(map(str, result.frames))
    if result.audit.not_checked:
        facts["not audited"] = "; ".join(result.audit.not_checked)
    return table(["", ""], [[key, value] for key, value in facts.items()])


def _main(result: Benchmark) -> list[str]:
    parts = [part for part in PARTS if any(part in j.scores.groups for j in result.models)]
    head = ["model", "parameters", *MAIN, *(f"rmse_db, {part}" for part in parts)]
    rows = []
    for judged in result.models:
        found = judged.scores.values()
        row = [_name(judged), f"{judged.parameters:,}"]
        row += [number(name, found.get(name)) for name in MAIN]
        row += [
            number("rmse_db", judged.scores.values(group=part).get("rmse_db")) for part in parts
        ]
        rows.append(row)
    return table(head, rows)


def _name(judged: Judged) -> str:
    """Title, and what is not the model's default; untrained models are told apart."""
    plain = judged.title + judged.label.removeprefix(judged.model.rpartition(":")[2])
    return plain if judged.training is not None else f"*{plain}*"


def _failed(result: Benchmark) -> list[str]:
    return [f"Not judged: {label}: {why}" for label, why in result.failed.items()]


def _other_protocols(result: Benchmark) -> Iterable[list[str]]:
    for name in result.protocols:
        if name == REFERENCE or not result.models:
            continue
        metrics = list(result.models[0].scores.values(name))
        yield _heading(f"By the protocol {name}", result)
        yield table(
            ["model", *metrics],
            [
                [_name(j), *(number(m, j.scores.values(name).get(m)) for m in metrics)]
                for j in result.models
            ],
        )


def _frames(result: Benchmark) -> Iterable[list[str]]:
    points = list(by_frame(result.models))
    if not points:
        return
    yield _heading("RMSE in dB by predicted frame", result)
    yield _grid([(p.label, p.at, p.scores) for p in points], "model")


def _study(study: Study, result: Benchmark) -> Iterable[list[str]]:
    if study.name == "horizon" or not study.points:
        return
    yield _heading(f"{study.title}: RMSE in dB", result)
    if study.name == "ablations":
        yield table(
            ["model", "variant", *MAIN],
            [
                [p.label, str(p.at), *(number(m, p.scores.values().get(m)) for m in MAIN)]
                for p in study.points
            ],
        )
    else:
        yield _grid([(p.label, p.at, p.scores) for p in study.points], study.axis)
        once = list(dict.fromkeys(p.label for p in study.points))
        once = [
            label for label in once if not any(p.anew for p in study.points if p.label == label)
        ]
        if once and study.name in ("samples", "context"):
            yield [f"Trained once and judged at every point: {', '.join(once)}."]
    yield from _claims(study, result)


def _grid(points: Sequence[tuple[str, Value, Scores]], corner: str) -> list[str]:
    """Models in rows, points in columns, RMSE in dB."""
    columns = list(dict.fromkeys(at for _, at, _ in points))
    found = {(label, at): scores.values().get("rmse_db") for label, at, scores in points}
    return table(
        [corner, *map(str, columns)],
        [
            [label, *(number("rmse_db", found.get((label, at))) for at in columns)]
            for label in dict.fromkeys(label for label, _, _ in points)
        ],
    )


def _claims(study: Study, result: Benchmark) -> Iterable[list[str]]:
    """What the papers print of such a study, for the models at hand."""
    if study.name in ("horizon", "context"):
        return
    models = {judged.model for judged in result.models}
    claims = [
        claim
        for claim in published().claims(cast("About", study.name))
        if claim.model in models and claim.part.task == result.task
    ]
    if not claims:
        return
    columns = list(dict.fromkeys(column for claim in claims for column in claim.values))
    yield ["The papers print (on other data and splits, by other protocols):"]
    yield table(
        ["paper", "model", "setting", *columns],
        [
            [
                f"{claim.paper.title}, {claim.table.table}",
                claim.model,
                _setting({"data": claim.part.data, **claim.part.setting}),
                *(number(column, claim.values.get(column)) for column in columns),
            ]
            for claim in claims
        ],
    )
    yield [
        f"- {claim.model}, {_setting(claim.part.setting)}: {claim.odd}"
        for claim in claims
        if claim.odd
    ]


def _cost(result: Benchmark) -> Iterable[list[str]]:
    timed = [(judged, judged.timing) for judged in result.models if judged.timing is not None]
    if not timed:
        return
    yield _heading("Time and memory", result)
    head = ["model", "parameters (M)", "ms per map, batch 1", "ms per map, best batch"]
    yield table(
        [*head, "best batch", "maps/s", "memory (MB)"],
        [
            [
                _name(judged),
                f"{judged.parameters / 1e6:.2f}",
                f"{t.ms_per_map:.2f}",
                f"{t.ms_in_best_batch / t.frames:.2f}",
                str(t.best_batch),
                f"{t.maps_per_s:,.1f}",
                "-" if t.memory_mb is None else f"{t.memory_mb:.0f}",
            ]
            for judged, t in timed
        ],
    )
    t = timed[0][1]
    threads = "" if t.threads is None else f", {t.threads} threads"
    yield [
        f"On {t.device}{threads}, {t.precision}, {t.size} pixels a side, "
        f"{'with' if t.compiled else 'without'} torch.compile; medians by {t.clock} after a "
        f"warm-up. Memory: {t.memory_is}."
    ]
    models = {judged.model for judged, _ in timed}
    claims = [claim for claim in published().claims("cost") if claim.model in models]
    if claims:
        columns: tuple[Column, ...] = ("seconds", "parameters_m", "memory_mb")
        yield ["The papers print (256 pixels, their GPUs):"]
        yield table(
            ["paper", "model", *columns],
            [
                [
                    f"{claim.paper.title}, {claim.table.table}",
                    claim.model,
                    *(number(column, claim.values.get(column)) for column in columns),
                ]
                for claim in claims
            ],
        )


def _beside(result: Benchmark) -> Iterable[list[str]]:
    if not result.beside:
        return
    yield _heading("Beside the papers", result)
    yield [
        "Published numbers are claims of the papers. They must not be compared with ours where "
        "something differs; the notes say what does."
    ]
    differs: dict[tuple[str, ...], int] = {}
    metrics = list(dict.fromkeys(metric for row in result.beside for metric in row.published))
    rows = []
    for row in result.beside:
        note = differs.setdefault(tuple(row.differs), len(differs) + 1)
        pairs = [
            f"{number(m, row.published[m])} / {number(m, row.ours.get(m))}"
            if m in row.published
            else ""
            for m in metrics
        ]
        odd = " (!)" if row.note else ""
        where = f"{row.paper}, {row.table}{odd}"
        rows.append([row.label, where, _setting(row.setting), *pairs, row.protocol, f"({note})"])
    head = ["model", "published in", "setting", *(f"{m}, theirs / ours" for m in metrics)]
    yield table([*head, "our protocol", "differs"], rows)
    yield [f"({number}) " + "; ".join(said) + "." for said, number in differs.items()]
    yield [f"(!) {row.label}, {row.table}: {row.note}." for row in result.beside if row.note]


def _how(result: Benchmark) -> Iterable[list[str]]:
    yield _heading("How this was made", result)
    said = ["docs/benchmarking.md is the protocol. Metrics come from rmtools.metrics alone:"]
    said += [f"- {name}: {load_protocol(name).title}" for name in result.protocols if _known(name)]
    for judged in result.models:
        training = judged.training
        how = "not trained"
        if training is not None:
            origin = "loaded" if training.loaded else "trained here"
            recipe = (
                "one look at the training set" if training.recipe == "none" else training.recipe
            )
            how = f"{recipe}, seed {training.seed}, {training.scenes} scenes, {origin}"
            how += "".join(f"; {note}" for note in training.notes)
        options = ", ".join(f"{k}={v}" for k, v in judged.options.items()) or "defaults"
        said.append(f"- {judged.label}: {how}; options: {options}; target: {judged.scores.target}")
    yield said


def _known(name: str) -> bool:
    from rmtools.metrics import protocol_names

    return name in protocol_names()


def _setting(setting: dict[str, Value]) -> str:
    return ", ".join(
        f"{value}" if key in ("data", "variant") else f"{key} {value}"
        for key, value in setting.items()
        if value is not None
    )


def number(name: str, value: float | None) -> str:
    """A number with the digits that such numbers have in papers, or one more."""
    if value is None:
        return "-"
    digits = {"psnr": 2, "rmse_db": 3, "ssim": 4, "seconds": 4, "memory_mb": 0, "gflops": 2}
    if name in ("parameters_m", "worse_percent"):
        return f"{value:.2f}"
    stem = "psnr" if name.startswith("psnr") else name
    return f"{value:,.{digits.get(stem, 5)}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; numbers to the right."""
    body = [list(row) for row in rows]
    right = [
        bool(body) and all(row[k][:1].isdigit() or row[k] in ("-", "") for row in body)
        for k in range(len(head))
    ]
    rule = ["---:" if flag else "---" for flag in right]
    return [_row(head), _row(rule), *map(_row, body)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
