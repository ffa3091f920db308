"""Reference models, one readable file each; installed as ``rmtools.models``.

``names()`` lists them, ``build(name, task=..., **options)`` makes one. Torch is imported with the
first model, not before.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmtools.errors import MissingError, RecipeError

if TYPE_CHECKING:
    from .interface import RadioModel

MODELS: dict[str, str] = {
    "radiomamba": "radiomamba:RadioMamba",
    "radiodiff": "radiodiff:RadioDiff",
    "radiolstm": "radiolstm:RadioLSTM",
    "radiodun": "radiodun:RadioDUN",
    "rmdm": "rmdm:RMDM",
    "radiounet": "radiounet:RadioUNet",
    "rme-gan": "rme_gan:RMEGAN",
    "uvm-net": "uvm_net:UVMNet",
    "pmnet": "pmnet:PMNet",
    "octuf": "octuf:OCTUF",
    "ae": "autoencoder:AE",
    "deep-ae": "autoencoder:DeepAE",
    "static-unet": "static_unet:StaticUNet",
    "conv-mamba-unet": "conv_mamba_unet:ConvMambaUNet",
    "kriging": "interpolators:Kriging",
    "rbf": "interpolators:RBF",
    "knn": "interpolators:KNN",
    "nearest-sample": "naive:NearestSample",
    "mean-map": "naive:MeanMap",
    "last-frame": "naive:LastFrame",
}
"""Where each model is: module and class. A new model is a file and a line here."""


def names() -> list[str]:
    """Give the names of all models."""
    return list(MODELS)


def find(name: str) -> type[RadioModel]:
    """Find the class of a model.

    Parameters
    ----------
    name
        One of :func:`names`, or ``path/to/file.py:Class`` for a model of your own.

    Raises
    ------
    RecipeError
        There is no such model, file or class.
    MissingError
        Torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingError(
            "models need PyTorch, which is not installed.",
            remedy="Install it with: pip install 'rmtools[train]'.",
        )
    from .interface import RadioModel

    if name in MODELS:
        module, _, title = MODELS[name].partition(":")
        found = getattr(importlib.import_module(f".{module}", __name__), title)
    else:
        found = _from_file(name)
    if not (isinstance(found, type) and issubclass(found, RadioModel)):
        raise RecipeError(
            "this is no RadioModel.",
            where=name,
            remedy="Derive the class from rmtools.models.interface.RadioModel; see docs/models.md.",
        )
    return found


def build(name: str, **options: Any) -> RadioModel:
    """Make a model.

    Parameters
    ----------
    name
        See :func:`find`.
    options
        ``task`` and the options of the model, see its class.

    Raises
    ------
    RecipeError
        There is no such model or option, or the model cannot do that task.
    """
    model = find(name)
    try:
        return model(**options)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise RecipeError(
            f"{error}.", where=f"model {name}", remedy=f"Its options: {', '.join(model.options())}."
        ) from error


def _from_file(name: str) -> Any:
    file, _, title = name.rpartition(":")
    path = Path(file)
    if not (file.endswith(".py") and path.is_file()):
        raise RecipeError(
            f"there is no model {name!r}.",
            remedy=f"Choose one of {', '.join(MODELS)}, or give path/to/file.py:Class.",
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RecipeError("this cannot be imported as a Python file.", where=path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, title):
        raise RecipeError(f"there is no class {title!r} in this file.", where=path)
    return getattr(module, title)
