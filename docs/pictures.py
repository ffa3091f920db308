"""Remake the pictures of README.md from the demo dataset: ``make pictures``."""

from __future__ import annotations

from pathlib import Path

from rmtools.report.preview import write_preview
from rmtools.store import Store

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"

if __name__ == "__main__":
    store = Store.open(HERE.parent / "demo")
    for path in (
        write_preview(IMAGES / "sequence.webp", store, "sequence", s=1, t=0, k=1, factor=2),
        write_preview(IMAGES / "scene.png", store, "scene", s=1, factor=2),
        write_preview(IMAGES / "sheet.png", store, "sheet"),
    ):
        print(path)
