"""``dataset.json`` of the RadioMapSeer layout: what its other files have no place for.

RadioMapSeer has no such file and its readers do not look for one. With it a folder explains
itself, and reading it back gives names, places, heights and licences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rmtools.files import read_model
from rmtools.layouts.seer_format import DESCRIPTION_NAME, ROW_ORDER, TREES
from rmtools.layouts.seer_geometry import building_rings
from rmtools.radio.solver import simulator_folder
from rmtools.units import SEER_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rmtools.scene import Scene
    from rmtools.store import Store
