"""Remake the pictures of README.md and docs/ from the demo dataset: ``make pictures``."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from PIL import Image, ImageDraw
from shapely.affinity import translate

from rmtools.city.areas import polygons_of
from rmtools.city.config import CityConfig
from rmtools.city.rasters import building_mask
from rmtools.city.sources import build_scenes
from rmtools.city.vectorise import vectorise
from rmtools.grid import Grid
from rmtools.report.preview import write_preview
from rmtools.store import Store

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"


def draw_walls(path: Path, *, size: int = 96, factor: int = 8) -> Path:
    """Part of a demo scene as a raster, and over it the walls that are found in the raster.

    The corners are moved to pixel centres first, where RadioMapSeer has them.
    """
    scene = build_scenes(CityConfig(), Grid(), 0)[0][8]
    rounded = [shapely.set_precision(translate(b.polygon, 0.5, 0.5), 1.0) for b in scene.buildings]
    buildings = [
        replace(scene.buildings[0], polygon=polygon)
        for moved in rounded
        for polygon in polygons_of(translate(moved, -0.5, -0.5))
    ]
    mask = building_mask(replace(scene, buildings=tuple(buildings)))
    north, west = 140, 60
    grey = np.where(mask, 170, 255)[north : north + size, west : west + size].astype(np.uint8)
    image = Image.fromarray(np.kron(grey, np.ones((factor, factor), np.uint8))).convert("RGB")
    pen = ImageDraw.Draw(image)
    # pixel centres, where the samples are taken, are the whole numbers of the raster
    for ring in shapely.get_rings(vectorise(mask, scene.grid)):
        points = shapely.get_coordinates(ring) * [1, -1] + [-west, scene.grid.size_m - north]
        pen.line([tuple(point) for point in points * factor], fill=(200, 30, 30), width=2)
        for x, y in points * factor:
            pen.ellipse([x - 4, y - 4, x + 4, y + 4], fill=(200, 30, 30))
    image.quantize(64).save(path, optimize=True)
    return path


def draw_with_cli(path: Path, *options: str) -> Path:
    """What `rmtools preview` draws of a demo scene, with fewer colours."""
    rmtools = [sys.executable, "-c", "from rmtools.cli import main; main()"]
    demo = str(HERE.parent / "demo")
    subprocess.run([*rmtools, "preview", demo, *options, "--out", str(path)], check=True)  # noqa: S603 - our own command
    with Image.open(path) as image:
        image.convert("RGB").quantize(128).save(path, optimize=True)
    return path


def draw_report(path: Path) -> Path:
    """The top of the demo's report in a browser (Playwright and a Chromium, $CHROMIUM)."""
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1180, "height": 1240})
        tab.goto((HERE.parent / "demo" / "report.html").as_uri())
        tab.get_by_text("frame 0 of").wait_for()
        shot = Image.open(io.BytesIO(tab.screenshot()))
        browser.close()
    shot.convert("RGB").resize((885, 930), Image.Resampling.LANCZOS).save(path, quality=85)
    return path


if __name__ == "__main__":
    store = Store.open(HERE.parent / "demo")
    for path in (
        write_preview(IMAGES / "sequence.webp", store, "sequence", s=1, t=0, k=1, factor=2),
        write_preview(IMAGES / "scene.png", store, "scene", s=1, factor=2),
        write_preview(IMAGES / "sheet.png", store, "sheet"),
        draw_walls(IMAGES / "vectorising.png"),
        draw_with_cli(IMAGES / "paths.png", "--paths"),
        draw_with_cli(IMAGES / "classes.png", "--classes"),
        draw_report(IMAGES / "report.webp"),
    ):
        print(path)
