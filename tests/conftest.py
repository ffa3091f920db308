"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder with true maps and city extracts; tests that need it are skipped without it."""
    root = Path(os.environ.get("RMTOOLS_REFERENCE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "radiomapseer").is_dir():
        pytest.skip(f"no reference data at {root}; set RMTOOLS_REFERENCE_DATA")
    return root
