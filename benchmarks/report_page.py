"""Time and size of the HTML report for many scenes, and how soon a browser shows a map.

    python benchmarks/report_page.py DATASET [--scenes 300]

The scenes of a finished dataset are repeated, by links, until there are so many; the demo dataset
suits. Needs Playwright and a Chromium ($CHROMIUM, or the machine's own) for the last figure.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from rmtools.report.html import write_report
from rmtools.store import STORE_NAME, Store

DRAWN = """() => {
    const clock = document.getElementById("clock");
    return clock && clock.textContent.includes("frame");
}"""


def repeated(source: Path, target: Path, count: int) -> None:
    """A store with `count` scenes: those of `source` over and over, in several places."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    metadata = json.loads((source / "zarr.json").read_text())
    metadata.pop("consolidated_metadata", None)
    scenes = metadata["attributes"]["scenes"]
    copies = []
    for index in range(count):
        block, scene = index // len(scenes), dict(scenes[index % len(scenes)])
        scene["name"] = f"{scene['name']}_{index:03d}"
        scene["easting_m"] += block % 3 * 60_000 + block // 3 % 4 * 900
        scene["northing_m"] += block // 12 * 1200
        copies.append(scene)
    metadata["attributes"]["scenes"] = copies
    (target / "zarr.json").write_text(json.dumps(metadata))
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        repeat_array(folder, target / folder.name, count, len(scenes))


def repeat_array(source: Path, target: Path, count: int, scenes: int) -> None:
    """An array whose files, one or more for each scene, are linked over and over."""
    target.mkdir()
    metadata = json.loads((source / "zarr.json").read_text())
    dims = metadata["dimension_names"]
    if dims[0] == "scene":
        metadata["shape"][0] = count
        if len(dims) == 1:  # in one file; the copy stays empty, which is the fill value
            metadata["chunk_grid"]["configuration"]["chunk_shape"] = [count]
        else:
            for index in range(count):
                files = source / "c" / str(index % scenes)
                if files.exists():
                    to = target / "c" / str(index)
                    shutil.copytree(files, to, copy_function=os.link)
    elif (source / "c").exists():
        shutil.copytree(source / "c", target / "c")
    (target / "zarr.json").write_text(json.dumps(metadata))


def first_map_s(page: Path) -> list[float]:
    """Seconds from going to the page until a map is drawn, three times."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(3):
            tab = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri(), wait_until="commit")
            tab.wait_for_function(DRAWN)
            found.append(time.perf_counter() - start)
            tab.context.close()
        browser.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--scenes", type=int, default=300)
    chosen = parser.parse_args()
    source = chosen.dataset.resolve() / STORE_NAME
    # Beside the dataset, since links do not reach other disks.
    with tempfile.TemporaryDirectory(dir=source.parent.parent) as folder:
        many = Path(folder) / STORE_NAME
        repeated(source, many, chosen.scenes)
        for store in (Store.open(source), Store.open(many)):
            page = Path(folder) / "report.html"
            wall, cpu = time.perf_counter(), time.process_time()
            write_report(store, page)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            shown = ", ".join(f"{seconds:.2f}" for seconds in first_map_s(page))
            print(
                f"{store.sizes.scene} scenes, {store.maps:,} maps: {wall:.1f} s ({cpu:.1f} s of "
                f"processor time), {page.stat().st_size / 1e6:.1f} MB, first map after {shown} s"
            )


if __name__ == "__main__":
    main()
