"""The same seed gives the same bytes in every process: no hash order, no threads, no clock."""

from __future__ import annotations

import os
import subprocess
import sys

MAKE_AND_PRINT = """
import hashlib
from rmtools.city.config import CityConfig
from rmtools.city.rasters import building_height, road_mask, touched_mask
from rmtools.city.sources import build_scenes
from rmtools.grid import Grid
from rmtools.traffic.config import TrafficConfig
from rmtools.traffic.engine import generate

config = CityConfig.model_validate({"tiles": {"order": "shuffle", "count": 3}})
scenes, reports = build_scenes(config, Grid(), 7)
print(reports)
for scene in scenes:
    tracks = generate(scene, TrafficConfig(speed_spread=0.3), 7, 0)
    rasters = building_height(scene), road_mask(scene), touched_mask(scene)
    arrays = *rasters, tracks.x, tracks.y, tracks.heading_deg, tracks.speed_mps, tracks.state
    print(scene.name, scene.digest(), [hashlib.sha256(a.tobytes()).hexdigest() for a in arrays])
"""


def test_hash_seed_and_number_of_threads_change_nothing() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", MAKE_AND_PRINT],
            env=os.environ | {"PYTHONHASHSEED": seed, "OSMIUM_POOL_THREADS": threads},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, threads in [("1", "1"), ("2", "4")]
    ]
    one, other = (run.communicate()[0] for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert one.count("helsinki_r") > 6
    assert one == other
