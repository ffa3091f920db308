"""A made-up ProMan project, a dataset folder to export, and a program that acts as WinPropCLI.

The `.net` of :func:`make_template` has the order, blanks, quotes and line ends of true ones, but
one keyword of each kind only; `.nup`, `.wpi` and `.mic` are guesses, no true ones are public.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

from fakes_store import make_scene, make_store

from rmtools.radio.dpm.solver import DominantPathSolver
from rmtools.store import SCENES_NAME, Store

PLACE = "C:\\Users\\Someone\\Projekte\\Müller"
BASE = f"{PLACE}\\Urban_DPM"

_NET_HEAD = f"""\
**********************************************************************************
***** Project-File for Network Prediction ****************************************
**********************************************************************************

COORD_SYSTEM_ELLIPSOID 1\x20
COORD_SYSTEM_UTM_ZONE 33
* Basic name of all propagation output file **************************************
OUTPUT_PROPAGATION_FILES "PropName"
PROJECT_FILE "{BASE}"
* Separate propagation results in individual directories (for each TRX) **********
SEPARATION_DIRECTORY y
EXCEL_OUTPUT n
ASCII_OUTPUT_PROP n
ASCII_OUTPUT_NET n

COORDINATES_MODE 1
COORDINATES_AREA 632394.0000000000 5806736.0000000000 633285.0000000000 5807987.0000000000
HEIGHT  1.75000\x20
HEIGHT_MODE 0
RESOLUTION 10.0000000000
HEIGHT_CNP  1.500\x20
RESOLUTION_CNP 1.0000
TIME_VARIANT TIME_VARIANT_MODE 0
POWER y
FIELDSTRENGTH n
PATH_LOSS n
COMPUTATION_MODE 20
CLUTTER_DATABASE_TRAFFIC "{PLACE}\\town.odb"

SITE 0 SITE_NAME "Site "
SITE 0 SITE_LOCATION 0.0000000000 0.0000000000 0.0000000000
ANTENNA 0 POSITION 0.0000000000, 0.0000000000, 15.0000000000\x20
ANTENNA 0 NAME "Antenna"
ANTENNA 0 TYPE ISO
ANTENNA 0 FREQUENCY 2000.00
ANTENNA 0 PREDICTION_AREA COORDINATES_AREA 1.0 2.0 3.0 4.0
ANTENNA -1 PREDICTION_AREA COORDINATES_AREA 1.0 2.0 3.0 4.0

****** DEFINITION OF SITES ****************************************************
***********************************************************************
"""
_SITE = """\
SITE {number} SITE_NAME "Site  {number}"
SITE {number} SITE_TYPE 8
SITE {number} SITE_LOCATION 632848.4600000000 5807844.6299999999 0.0000000000
SITE {number} COUNTER_TRX 8
"""
_SITE_GAP = f"{'*' * 71}\n\n\n{'*' * 71}\n"
_BETWEEN = f"""\
{"*" * 71}

****** DEFINITION OF TRANSMITTERS *********************************************
***** Basestation / Antenna / Cell    No   1 **********************************
"""
_ANTENNA = f"""\
***** Antenna modified since last path loss computation ***********************
ANTENNA {{number}} MODIFIED n y
ANTENNA {{number}} DISABLED n
***** Coordinates of the antenna      [x,y,z] *********************************
ANTENNA {{number}} POSITION 632848.4600000000, 5807844.6299999999, 19.5000000000\x20
ANTENNA {{number}} NAME "Site  1 Antenna A"
ANTENNA {{number}} SITE_NUMBER 1
***** Antenna type (ISO, SECTOR) *********************************************
ANTENNA {{number}} TYPE SECTOR
***** Antenna pattern (Filename without extension) ****************************
ANTENNA {{number}} PATTERN_VERTICAL "{PLACE}\\WiMax_3500MHz_60deg"
ANTENNA {{number}} PATTERN_TYPE 1
***** Horizontal Orientation of the antenna [Degrees] *************************
ANTENNA {{number}} HORIZONTAL 90.00 N
ANTENNA {{number}} VERTICAL 7.00
ANTENNA {{number}} POWER 10.00000
ANTENNA {{number}} UNIT WATT
ANTENNA {{number}} POWER_MODE 1
ANTENNA {{number}} FREQUENCY 2000.00
ANTENNA {{number}} POLARIZATION 7
ANTENNA {{number}} PREDICTION_AREA_INDIVIDUAL n
"""
_ANTENNA_GAP = (
    "\n***** Basestation / Antenna / Cell    No   {number} **********************************\n"
)
_NET_TAIL = """\

REFERENCE_TRX -100
SCENARIO_RURAL n
SCENARIO_URBAN y
SCENARIO_INDOOR n
COUNTER_SITE 7
COUNTER_TRX 49
COUNTER_COMPONENT 1
"""
_NUP = f"""\
* Urban prediction *************************************************************
DATABASE_FILE "{PLACE}\\town"
DATABASE_MODE 1
PREDICTION_MODEL_ID 5
MATERIAL_PROPERTIES y
"""


def make_template(folder: Path, *, sites: int = 2) -> Path:
    """Write ``Urban_DPM.{net,nup,wpi,mic}`` and return their path without a suffix."""
    numbers = range(1, sites + 1)
    net = _NET_HEAD + _SITE_GAP.join(_SITE.format(number=k) for k in numbers) + _BETWEEN
    for k in numbers:
        net += (_ANTENNA_GAP.format(number=k) if k > 1 else "") + _ANTENNA.format(number=k)
    texts = {
        ".net": net + _NET_TAIL,
        ".nup": _NUP,
        ".wpi": f'SETTINGS_OF "{BASE}.net"\nZOOM 1.0\x20\n',
        ".mic": f'LAST_FILE "{BASE.upper()}"\n',
    }
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in texts.items():
        data = text.replace("\n", "\r\n").encode("cp1252")
        (folder / f"Urban_DPM{suffix}").write_bytes(data)
    return folder / "Urban_DPM"


def make_dataset(root: Path, **sizes: Any) -> Store:
    """A tiny dataset folder without path loss yet: store and scene files.

    `sizes` are those of :func:`fakes_store.make_store`; the solver to come is our DPM.
    """
    root.mkdir(parents=True, exist_ok=True)
    store = make_store(root, **sizes)
    store.create_pathloss({"solver": DominantPathSolver("radiomapmotion").describe()})
    for index in range(store.sizes.scene):
        scene = make_scene(index, store.grid.n)
        scene.write(root / SCENES_NAME / f"{scene.name}.json")
    return store


def make_winpropcli(folder: Path) -> Path:
    """A program that can be started as WinPropCLI: tests/fake_winprop_cli.py."""
    script = Path(__file__).with_name("fake_winprop_cli.py")
    path = folder / "WinPropCLI"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make_converter(folder: Path) -> Path:
    """A program that "converts" a shapefile: the fake WinPropCLI reads the shapefile itself."""
    path = folder / "convert"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\necho converted "$1"\ncp "$1" "$2.odb"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make_quick_cli(folder: Path) -> Path:
    """A program that only pretends: one line as the result of every antenna.

    FAKE_LOG is a file to which every start appends a line, FAKE_SLEEP seconds to wait in the
    middle, FAKE_SKIP the name of an antenna that gets no result, FAKE_STATUS the exit status.
    """
    path = folder / "WinPropCLI"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(
        """#!/bin/sh
echo "$*" >>"$FAKE_LOG"
sed -n 's/^ANTENNA [1-9][0-9]* NAME "\\(.*\\)".*$/\\1/p' "$2" | while read -r name; do
    [ "$name" = "${FAKE_SKIP:-}" ] || echo result >"$5/$name Path Loss.txt"
    [ -z "${FAKE_SLEEP:-}" ] || sleep "$FAKE_SLEEP"
done
exit "${FAKE_STATUS:-0}"
"""
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
