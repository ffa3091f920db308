"""The command line as a user meets it: verbs, exit codes, and what it says about bad input."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rmtools.cli import main
from rmtools.data import helsinki_path
from rmtools.errors import ExitCode
from rmtools.files import sha256_tree

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ["--workers", "1"] + [
    part
    for setting in (
        "grid.n=64",
        "city.tiles.count=2",
        "city.tiles.min_road_m=20",
        "traffic.trajectories=1",
        "traffic.frames=2",
        "traffic.vehicles=2",
        "transmitters.count=1",
        "transmitters.clear_of_roads=false",
    )
    for part in ("--set", setting)
]


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Start the program as a shell does."""
    command = [sys.executable, "-m", "rmtools", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rmtools(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a verb in this process, which saves the seconds that a new one takes to start."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["rmtools", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())


def osm(*ways: str) -> str:
    """An OSM file with a square of nodes and the given ways' tags, closed and open."""
    corners = [(60.17, 24.94), (60.17, 24.95), (60.175, 24.95), (60.175, 24.94)]
    nodes = "".join(
        f'<node id="{i}" lat="{lat}" lon="{lon}" version="1"/>'
        for i, (lat, lon) in enumerate(corners, start=1)
    )
    references = "".join(f'<nd ref="{i}"/>' for i in (1, 2, 3, 4, 1))
    body = "".join(
        f'<way id="{i}" version="1">{references}<tag k="{k}" v="{v}"/></way>'
        for i, (k, v) in enumerate((way.split("=") for way in ways), start=10)
    )
    return f'<?xml version="1.0"?><osm version="0.6">{nodes}{body}</osm>'


def broken_sources(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad extracts, each with what the message must say besides its name."""
    whole = helsinki_path().read_bytes()
    contents: dict[str, tuple[str, bytes, str]] = {
        "truncated": ("truncated.osm.pbf", whole[: len(whole) * 6 // 10], "truncated|damaged|cut"),
        "empty": ("empty.osm.pbf", b"", "empty"),
        "text": ("text.osm.pbf", b"These are not the maps you are looking for.\n" * 40, "PBF|pbf"),
        "no buildings": ("bare.osm", osm("highway=residential").encode(), "building"),
        "no roads": ("roadless.osm", osm("building=yes").encode(), "road"),
        "not osm": ("page.osm", b"<html><body>504</body></html>", "."),
        "suffix": ("city.shp", b"x", "suffix|extract|format|\\.osm"),
    }
    found = {}
    for name, (file, data, says) in contents.items():
        (folder / file).write_bytes(data)
        found[name] = (folder / file, says)
    found["missing"] = (folder / "none.osm.pbf", "no such")
    return found


@pytest.mark.parametrize(
    "kind",
    ["truncated", "empty", "text", "no buildings", "no roads", "not osm", "suffix", "missing"],
)
def test_a_bad_extract_ends_in_one_paragraph_and_makes_nothing(tmp_path: Path, kind: str) -> None:
    path, says = broken_sources(tmp_path)[kind]
    out = tmp_path / "out"
    done = rmtools("run", "demo", "--out", out, "--set", f"city.source={path}")
    assert done.returncode == ExitCode.INPUT, done.stderr
    message = done.stderr.strip()
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1
    assert path.name in message
    assert re.search(says, message)
    assert not (out / "store.zarr").exists()


def test_a_bad_extract_leaves_a_finished_dataset_alone(tmp_path: Path) -> None:
    path, _ = broken_sources(tmp_path)["truncated"]
    out = tmp_path / "out"
    assert rmtools("run", "demo", "--out", out, *QUICK).returncode == 0
    before = sha256_tree(out)
    for more in ((), ("--overwrite",)):
        done = rmtools("run", "demo", "-o", out, *QUICK, "--set", f"city.source={path}", *more)
        assert done.returncode in (ExitCode.INPUT, ExitCode.RECIPE), done.stderr
        assert sha256_tree(out) == before


def test_a_misspelt_key_names_the_nearest_one(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("city: {source: demo}\ntraffic: {vehicels: 4}\n")
    done = rmtools("run", recipe, "--out", tmp_path / "out")
    assert done.returncode == ExitCode.RECIPE
    assert done.stderr.startswith(f"error: {recipe}: unknown key 'traffic.vehicels'")
    assert "did you mean 'vehicles'?" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    done = start("run", "nonsense", "--out", tmp_path / "out")
    assert done.returncode == ExitCode.INPUT
    assert "nonsense" in done.stderr


def test_verb_by_verb_like_the_readme(tmp_path: Path) -> None:
    data = tmp_path / "helsinki"
    steps: list[list[object]] = [
        [
            *[
                "build-scenes",
                "demo",
                "--count",
                "2",
                "--pixels",
                "64",
                "--set",
                "city.tiles.min_road_m=20",
            ],
            data,
        ],
        [
            "generate-trajectories",
            data,
            "--vehicles",
            2,
            "--trajectories",
            1,
            "--frames",
            2,
            "-j",
            1,
        ],
        ["place-transmitters", data, "--count", 1],
        ["simulate", data, "--frequency-mhz", 5900, "-j", 1],
        ["package", data, "--layout", "motion", "--names", "both", "-j", 1],
        ["split", data],
        ["validate", data, "--json"],
        ["report", data],
        ["preview", data, "--out", tmp_path / "map.png"],
        ["preview", data, "--out", tmp_path / "move.gif"],
        ["info", data, "--json"],
    ]
    outputs = {}
    for step in steps:
        done = rmtools(*step)
        assert done.returncode == 0, (step, done.stderr)
        outputs[step[0]] = done.stdout
    assert json.loads(outputs["validate"])["ok"] is True
    info = json.loads(outputs["info"])
    assert (info["scenes"], info["maps"]) == (2, 4)
    assert info["solver"]["frequency_mhz"] == 5900
    assert (data / "motion" / "gain" / "env_001" / "traj_00" / "tx_00" / "frame_1.png").is_file()
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "move.gif").read_bytes()[:4] == b"GIF8"
    again = rmtools("simulate", data)
    assert again.returncode == 0, again.stderr
    assert "up to date" in again.stderr


def test_validate_ends_with_6_and_names_the_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert rmtools("run", "demo", "--out", out, *QUICK).returncode == 0
    victim = next((out / "motion" / "png").rglob("*.png"))
    victim.write_bytes(victim.read_bytes()[:50])
    done = rmtools("validate", out)
    assert done.returncode == ExitCode.INVALID
    assert victim.name in done.stdout
    assert "NOT valid" in done.stdout


def test_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    done = rmtools("run", "demo", "--out", tmp_path / "x", "--dry-run", "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["scenes"], plan["maps"]) == (2, 4)
    assert not (tmp_path / "x").exists()


def test_usage_errors_end_with_2() -> None:
    assert start("frobnicate").returncode == ExitCode.USAGE
    assert rmtools("run").returncode == ExitCode.USAGE


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['rmtools', '--help']\nimport rmtools.cli\n"
        "try:\n    rmtools.cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numba', 'zarr', 'xarray', 'osmnx', 'geopandas', 'rasterio', 'scipy', 'PIL'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stderr
    for verb in ("build-scenes", "generate-trajectories", "simulate", "package", "split", "run"):
        assert verb in done.stdout
