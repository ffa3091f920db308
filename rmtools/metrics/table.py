"""An evaluation as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmtools.metrics.evaluator import ALL
from rmtools.metrics.protocol import SsimMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmtools.metrics.evaluation import Evaluation, ProtocolResult
    from rmtools.metrics.protocol import Protocol


def table(evaluation: Evaluation) -> list[str]:
    """Lines: what was compared, each protocol's numbers and how they came about, the groups."""
    lines = _head(evaluation)
    shown = evaluation.results
    names = list(dict.fromkeys(name for r in shown for name in r.groups[ALL].values))
    rows = [["", *(r.protocol.name for r in shown)]]
    rows += [[name, *(_number(r, ALL, name) for r in shown)] for name in names]
    lines += ["", *_aligned(rows)]
    for r in shown:
        lines += ["", f"{r.protocol.name}: {r.protocol.title} ({_preparation(r.protocol)})"]
        lines += _aligned([[f"  {name}", r.protocol.how(name)] for name in r.groups[ALL].values])
        if len(r.groups) > 1:
            metrics = list(r.groups[ALL].values)
            rows = [["  group", "maps", "pixels", *metrics]]
            rows += [
                [f"  {group}", f"{found.maps:,}", f"{found.pixels:,}"]
                + [_number(r, group, name) for name in metrics]
                for group, found in r.groups.items()
            ]
            lines += ["", *_aligned(rows)]
    return lines


def _head(evaluation: Evaluation) -> list[str]:
    split, scale = evaluation.split, evaluation.scale
    pixels = evaluation.maps * evaluation.rows * evaluation.cols
    facts = {
        "predictions": evaluation.pred,
        "truth": evaluation.truth,
        "maps": f"{evaluation.maps:,} of {evaluation.rows} x {evaluation.cols} pixels",
        "split": "none: all maps of the truth"
        if split is None
        else f"{split.name}, set {split.set}, sha256 {split.sha256}",
        "scale": "unknown"
        if scale is None
        else f"{scale.name}, {scale.span_db:.2f} dB from level 0 to 255",
        "clamped": f"{evaluation.clamped_pixels:,} of {pixels:,} predicted pixels are outside "
        "[0, 1]",
    }
    if evaluation.frames is not None:
        facts["frames"] = ", ".join(map(str, evaluation.frames))
    if evaluation.without_prediction:
        facts["left out"] = f"{evaluation.without_prediction:,} maps without prediction"
    if evaluation.not_chosen:
        facts["not chosen"] = f"{evaluation.not_chosen:,} predictions of other maps"
    if evaluation.buildings_from:
        facts["buildings"] = evaluation.buildings_from
    return [f"{key:<12} {value}" for key, value in facts.items()]


def _preparation(protocol: Protocol) -> str:
    """What happens to maps before errors are taken."""
    steps = ["clamped to [0, 1]" if protocol.clamp else "not clamped"]
    if protocol.quantise:
        steps.append(f"rounded to 8 bits ({protocol.quantise})")
    if protocol.threshold is not None:
        steps.append(f"both thresholded at {protocol.threshold:g}")
    return "predictions " + ", ".join(steps)


def _number(result: ProtocolResult, group: str, name: str) -> str:
    """One number with as many digits as tables of papers have, or one more."""
    values = result.groups[group].values
    if name not in values:
        return ""
    value, metric = values[name], result.protocol.metrics[name]
    if value is None:
        return "-"
    if isinstance(metric, SsimMetric):
        return f"{value:.5f}"
    coarse = metric.quantity == "psnr" or metric.unit != "one"
    return f"{value:.4f}" if coarse else f"{value:.6f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text in columns, the first to the left, numbers to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) if len(row) > 2 or cell[:1].isdigit() else cell
            for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
