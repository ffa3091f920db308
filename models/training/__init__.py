"""Training of all models: ``train(Training("radiounet", "dataset"), "runs/first")``.

The names below are imported when they are used, because most of them need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, check_matches, load_checkpoint
    from .fit import Machine, Stopped, Training, TrainingResult, train
    from .identity import identify

_HOMES = {
    "Checkpoint": "checkpoint",
    "Machine": "fit",
    "Stopped": "fit",
    "Training": "fit",
    "TrainingResult": "fit",
    "check_matches": "checkpoint",
    "identify": "identity",
    "load_checkpoint": "checkpoint",
    "train": "fit",
}

__all__ = [
    "Checkpoint",
    "Machine",
    "Stopped",
    "Training",
    "TrainingResult",
    "check_matches",
    "identify",
    "load_checkpoint",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
