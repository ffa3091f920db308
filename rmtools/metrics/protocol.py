"""Protocols: how a set of maps becomes the numbers of a table, one small file per paper.

The files lie in ``rmtools/metrics/protocols``; schemas/metrics-protocol.schema.json describes them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rmtools.errors import InputError, RecipeError
from rmtools.files import first_problem, read_bytes
from rmtools.metrics.ssim import SsimParameters
from rmtools.strict_yaml import strict_yaml

if TYPE_CHECKING:
    from rmtools.types import FloatArray

FOLDER = Path(__file__).resolve().parent / "protocols"
REFERENCE = "reference"
MAX_BYTES = 64 * 1024


class ErrorMetric(BaseModel):
    """A metric made of sums over pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quantity: Literal["mse", "rmse", "nmse", "root_nmse", "mae", "psnr"] = Field(
        description="root_nmse is sqrt(NMSE), which some papers call RMSE"
    )
    over: Literal["all", "image", "batch"] = Field(
        default="all",
        description="Compute it once from the sums over all maps, or for each map or batch of "
        "maps, and take the mean; a batch counts by its number of maps",
    )
    unit: Literal["one", "grey", "dB"] = Field(
        default="one", description="Of rmse and mae: [0, 1], grey levels, or dB of path loss"
    )
    peak: Literal["one", "truth"] = Field(
        default="one", description="Of psnr: 1, or the range (max - min) of the truth"
    )
    infinite: Literal["keep", "skip"] = Field(
        default="keep", description="Whether infinite values of single maps are left out of means"
    )

    @model_validator(mode="after")
    def _sensible(self) -> ErrorMetric:
        if self.unit != "one" and self.quantity not in ("rmse", "mae"):
            raise ValueError(f"{self.quantity} has no unit")
        if self.peak != "one" and self.quantity != "psnr":
            raise ValueError(f"{self.quantity} has no peak")
        return self


class SsimMetric(SsimParameters):
    """SSIM of each map, then the mean over the maps."""

    quantity: Literal["ssim"]


Metric = Annotated[ErrorMetric | SsimMetric, Field(discriminator="quantity")]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Protocol(BaseModel):
    """How predictions are prepared and which metrics are computed how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["metrics-protocol"] = "metrics-protocol"
    format: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    title: str
    source: str = Field(description="Where the definitions were read")
    notes: list[str] = Field(default_factory=list)
    clamp: bool = Field(default=True, description="Clamp predictions to [0, 1] first")
    quantise: Literal["floor", "nearest"] | None = Field(
        default=None, description="Then round predictions to 8 bits, as if written to a PNG"
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Then map truth and prediction by (max(f, threshold) - threshold) / (1 - "
        "threshold)",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Maps in a batch, for metrics over batches; batches follow the order of the "
        "test set, however the maps are fed",
    )
    metrics: dict[MetricName, Metric] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Protocol:
        if self.over_batches and self.batch_size is None:
            raise ValueError("metrics over batches need batch_size")
        return self

    @property
    def over_batches(self) -> bool:
        """Whether any metric depends on which maps are in a batch."""
        return any(
            isinstance(metric, ErrorMetric) and metric.over == "batch"
            for metric in self.metrics.values()
        )

    def prepare(self, pred: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Clamp, quantise and threshold float64 maps, in this order; the truth stays in [0, 1]."""
        if self.clamp:
            pred = np.clip(pred, 0.0, 1.0)
        if self.quantise == "floor":
            # single precision, as published: there level k written as k / 255 stays level k
            pred = np.floor(np.float32(pred) * np.float32(255)).astype(np.float64) / 255.0
        elif self.quantise == "nearest":
            pred = np.rint(pred * 255.0) / 255.0
        if self.threshold is not None:
            pred, truth = threshold(pred, self.threshold), threshold(truth, self.threshold)
        return pred, truth

    def how(self, name: str) -> str:
        """One metric in words, for a table."""
        metric = self.metrics[name]
        if isinstance(metric, SsimMetric):
            window = f"{metric.window} {metric.size}"
            if metric.window == "gaussian":
                window += f" sigma {metric.sigma:g}"
            return f"mean over maps; {window}, range {metric.data_range}, border {metric.border}"
        words = {
            "all": "pooled over all maps",
            "image": "mean over maps",
            "batch": f"mean over batches of {self.batch_size}",
        }[metric.over]
        if metric.quantity == "root_nmse":
            words = f"sqrt(NMSE), {words}"
        if metric.unit != "one":
            words += " in grey levels" if metric.unit == "grey" else " in dB"
        if metric.quantity == "psnr":
            words += ", peak 1" if metric.peak == "one" else ", peak from the truth"
        return words


def threshold(f: FloatArray, at: float = 0.2) -> FloatArray:
    """RadioUNet's "Thr2": ``(max(f, at) - at) / (1 - at)``."""
    return (np.maximum(f, at) - at) / (1.0 - at)


def unthreshold(g: FloatArray, at: float = 0.2) -> FloatArray:
    """The smallest ``f`` with ``threshold(f, at) == g``.

    A model that was trained on thresholded maps is evaluated on the common scale through this.
    """
    return np.maximum(g, 0.0) * (1.0 - at) + at


def protocol_names() -> list[str]:
    """Names of the protocols that come with rmtools; the reference first."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(names, key=lambda name: name != REFERENCE)


def load_protocol(name: str | Path) -> Protocol:
    """Read a protocol.

    Parameters
    ----------
    name
        One of :func:`protocol_names`, or the path of a file of your own.

    Raises
    ------
    RecipeError
        No such protocol.
    InputError
        The file is not YAML, or a member is missing or wrong.
    """
    plain = re.fullmatch(r"[a-z0-9-]+", str(name)) is not None
    path = FOLDER / f"{name}.yaml" if plain else Path(name)
    if not path.is_file():
        raise RecipeError(
            f"there is no protocol {str(name)!r}.",
            remedy=f"Choose one of {', '.join(protocol_names())}, or give a file.",
        )
    try:
        return Protocol.model_validate(strict_yaml(read_bytes(path, MAX_BYTES)))
    except (yaml.YAMLError, ValidationError, ValueError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise InputError(
            f"not a protocol ({problem}).",
            where=path,
            remedy="Compare it with schemas/metrics-protocol.schema.json.",
        ) from error
