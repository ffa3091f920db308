"""How each published model wants its inputs: channels, polarity, scaling, by name.

Facts were read in the released code; docs/loaders.md gives the table with sources. Oddities that
change numbers are kept (255 divided by 256, targets times 256), errors that only lose or leak
data are not (samples drawn from rows and columns 0 to 254, seeds made of pixel sums).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from rmtools.errors import RecipeError

if TYPE_CHECKING:
    from rmtools.units import GreyScale

Task = Literal["static", "dynamic", "sparse", "sparse-dynamic", "forecast"]
TASKS: dict[Task, str] = {
    "static": "a map from buildings and transmitter",
    "dynamic": "a map from buildings, transmitter and vehicles",
    "sparse": "a map from samples of it, with buildings and transmitter",
    "sparse-dynamic": "the same with vehicles",
    "forecast": "the next frames of a sequence from those before",
}

Channel = Literal[
    "buildings", "buildings+10tx", "transmitter", "vehicles", "samples", "mask", "distance", "fit"
]
CHANNELS: dict[Channel, str] = {
    "buildings": "building mask",
    "buildings+10tx": "building mask plus ten times the transmitter's pixel",
    "transmitter": "one pixel",
    "vehicles": "vehicle mask",
    "samples": "the target where it was sampled, 0 elsewhere",
    "mask": "where it was sampled, 0 or 1",
    "distance": "1 - minmax(log10(1 + pixels to the transmitter))",
    "fit": "c - 10 theta log10(pixels to the transmitter), least squares through the samples",
}


@dataclass(frozen=True)
class GreyTransform:
    """From grey levels to the numbers a model sees.

    With f = level / divisor it is ``factor * (max(f, threshold) - threshold) / (1 - threshold) +
    offset``. RadioUNet calls threshold 0.2 "Thr2".
    """

    divisor: float = 255.0
    threshold: float = 0.0
    factor: float = 1.0
    offset: float = 0.0

    def gain_db(self, scale: GreyScale) -> Line:
        """How to get back to path gain in dB: ``slope * value + intercept``.

        Below the threshold this is the gain of the threshold. As in :meth:`GreyScale.decode` a
        value stands for the middle of its grey level (not so for level 255 of a scale that
        rounds down, which is the upper clip limit).
        """
        per_level = scale.step_db * self.divisor
        slope = per_level * (1.0 - self.threshold) / self.factor
        half = 0.5 * scale.step_db if scale.rounding == "floor" else 0.0
        at_zero = scale.gain_min_db + half + per_level * self.threshold
        return Line(slope, at_zero - slope * self.offset)


class Line(NamedTuple):
    """A straight line."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Convention:
    """Inputs and target of one model in one task.

    Attributes
    ----------
    channels
        Input channels in order; none for the task forecast, whose input are frames.
    high
        What a mask's "yes" is; 255/256 where the code divides 255 by 256.
    grey
        Transform of targets, samples and frames.
    mask_factor, mask_offset
        Applied to masks after `high`, for models that want -1 to 1.
    samples
        Least and largest number of samples, for the sparse tasks.
    window
        First frame, context frames, horizon frames, for the task forecast.
    known_transmitter
        False where the distance is measured from pixel (0, 0) instead.
    source
        Where it was read.
    """

    channels: tuple[Channel, ...] = ()
    high: float = 1.0
    grey: GreyTransform = GreyTransform()
    mask_factor: float = 1.0
    mask_offset: float = 0.0
    samples: tuple[int, int] | None = None
    window: tuple[int, int, int] | None = None
    known_transmitter: bool = True
    source: str = ""


OF_256 = 255.0 / 256.0
_THR2 = GreyTransform(threshold=0.2)
_THR2_256 = GreyTransform(256.0, threshold=0.2)
_TIMES_256 = GreyTransform(256.0, threshold=0.2, factor=256.0)
_SIGNED = GreyTransform(factor=2.0, offset=-1.0)

_UNET_C = "RonLevie/RadioUNet lib/loaders.py, RadioUNet_c"
_UNET_S = "RonLevie/RadioUNet lib/loaders.py, RadioUNet_s"
_UNET_IRT4 = "RonLevie/RadioUNet lib/loaders.py, RadioUNet_c_sprseIRT4"
_GAN = "achinthaw/RME-GAN lib/loaders.py, RadioUNet_s; train.py, setup 1"
_DIFF = "UNIC-Lab/RadioDiff lib/loaders.py (cfd0069), RadioUNet_c"
_DIFF_IRT4 = "UNIC-Lab/RadioDiff lib/loaders.py (a4b16b1), RadioUNet_c_sprseIRT4"
_MAMBA = "UNIC-Lab/RadioMamba src/dataset.py"
_RMDM = "Hxxxz0/RMDM lib/loaders.py and train.py"
_DUN = "hnsytq/RadioDUN data/mix_dataloader.py, main.py"
_PMNET = "abman23/pmnet archive/dataloaders/loader_radio.py"
_MOTION = "UNIC-Lab/RadioMapMotion code/data_loader.py, config.yaml"

_STATIC: tuple[Channel, ...] = ("buildings", "transmitter")
_DYNAMIC: tuple[Channel, ...] = (*_STATIC, "vehicles")
_OWN_SPARSE: tuple[Channel, ...] = (*_STATIC, "samples", "mask")
_TWICE: tuple[Channel, ...] = (*_STATIC, "buildings")
_DUN_CHANNELS: tuple[Channel, ...] = ("samples", "distance", "buildings", "vehicles")
_MIXED: tuple[Channel, ...] = ("buildings+10tx", "transmitter")

_UNET: dict[Task, Convention] = {
    "static": Convention(_STATIC, grey=_THR2, source=_UNET_C),
    "dynamic": Convention(_DYNAMIC, OF_256, _THR2, source=_UNET_C),
    "sparse": Convention(
        (*_STATIC, "samples"), OF_256, _TIMES_256, samples=(10, 299), source=_UNET_S
    ),
    "sparse-dynamic": Convention(
        (*_STATIC, "samples", "vehicles"), OF_256, _TIMES_256, samples=(10, 299), source=_UNET_S
    ),
}
_DUN_SPARSE = Convention(_DUN_CHANNELS, samples=(9, 9), source=_DUN)

CONVENTIONS: dict[str, dict[Task, Convention]] = {
    "rmtools": {
        "static": Convention(_STATIC, source="this project"),
        "dynamic": Convention(_DYNAMIC, source="this project"),
        "sparse": Convention(_OWN_SPARSE, samples=(10, 300), source="this project"),
        "sparse-dynamic": Convention(
            (*_OWN_SPARSE, "vehicles"), samples=(10, 300), source="this project"
        ),
        "forecast": Convention(window=(0, 10, 5), source="this project"),
    },
    "radiounet": _UNET,
    "radiounet-irt4": {
        "sparse": Convention(_STATIC, grey=_THR2_256, samples=(300, 300), source=_UNET_IRT4),
        "sparse-dynamic": Convention(
            _DYNAMIC, OF_256, _THR2_256, samples=(300, 300), source=_UNET_IRT4
        ),
    },
    "pmnet": {task: replace(_UNET[task], source=_PMNET) for task in ("static", "dynamic")},
    "rme-gan": {
        "sparse": Convention(
            (*_STATIC, "samples", "fit"), OF_256, _TIMES_256, samples=(655, 655), source=_GAN
        ),
        "sparse-dynamic": Convention(
            (*_STATIC, "samples", "fit", "vehicles"),
            OF_256,
            _TIMES_256,
            samples=(655, 655),
            source=_GAN,
        ),
    },
    "radiodiff": {
        "static": Convention(_TWICE, 1.0, _SIGNED, 2.0, -1.0, source=_DIFF),
        "dynamic": Convention(_DYNAMIC, OF_256, _SIGNED, 2.0, -1.0, source=_DIFF),
    },
    "radiodiff-irt4": {
        "static": Convention(
            _TWICE, 1.0, replace(_SIGNED, divisor=256.0), 2.0, -1.0, source=_DIFF_IRT4
        ),
        "dynamic": Convention(
            _DYNAMIC, OF_256, replace(_SIGNED, divisor=256.0), 2.0, -1.0, source=_DIFF_IRT4
        ),
    },
    "radiomamba": {
        "static": Convention(_TWICE, source=_MAMBA),
        "dynamic": Convention(_DYNAMIC, source=_MAMBA),
    },
    "rmdm": {
        "static": Convention(_MIXED, grey=_THR2, source=_RMDM),
        "sparse": Convention(
            (*_MIXED, "samples"), OF_256, _THR2_256, samples=(10, 299), source=_RMDM
        ),
        "sparse-dynamic": Convention(
            (*_MIXED, "samples", "vehicles"), OF_256, _THR2_256, samples=(10, 299), source=_RMDM
        ),
    },
    "radiodun": {"sparse-dynamic": _DUN_SPARSE},
    "radiodun-unknown": {"sparse-dynamic": replace(_DUN_SPARSE, known_transmitter=False)},
    "radiomapmotion": {"forecast": Convention(window=(2, 8, 5), source=_MOTION)},
    "radiomapmotion-paper": {
        "forecast": Convention(window=(0, 10, 5), source="RadioMapMotion paper")
    },
}
"""All conventions by name and task."""


def find_convention(name: str, task: Task) -> Convention:
    """One convention.

    Raises
    ------
    RecipeError
        There is none of that name, or not for that task.
    """
    if name not in CONVENTIONS:
        raise RecipeError(
            f"there is no convention {name!r}.", remedy=f"Choose one of {', '.join(CONVENTIONS)}."
        )
    if task not in CONVENTIONS[name]:
        able = [other for other, tasks in CONVENTIONS.items() if task in tasks]
        raise RecipeError(
            f"the convention {name!r} is for the task {' and '.join(CONVENTIONS[name])}, not for "
            f"{task!r} ({TASKS[task]}).",
            remedy=f"Choose one of {', '.join(able)}.",
        )
    return CONVENTIONS[name][task]
