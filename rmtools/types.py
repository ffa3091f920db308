"""Names for the array types in our signatures."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
ByteArray: TypeAlias = NDArray[np.uint8]
LabelArray: TypeAlias = NDArray[np.void]
"""Structured; see :data:`rmtools.radio.dpm.labels.LABEL`."""
