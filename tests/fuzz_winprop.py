"""Throwing damaged results at the readers of :mod:`rmtools.winprop`.

    PYTHONPATH=. python tests/fuzz_winprop.py --inputs 100000 --seed 1
    PYTHONPATH=. python tests/fuzz_winprop.py --engine atheris --inputs 100000

Every input is a small result file of one kind (area with 3 and 4 columns, trajectory, rays, CSV,
npz), changed in one to six places: bytes, lines, fields, numbers, lengths. What must hold: nothing
but rmtools' own errors comes out, an array that is read has the declared size, and the memory
needed stays within a small multiple of the file. The engine ``mutation`` needs nothing else;
``atheris`` (``pip install atheris``) is guided by the branches of the Python code it reaches. True
files are used as well when ``--reference`` names the folder with them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
from fakes_results import RAYS, TRAJECTORY, Area

from rmtools.errors import RmtoolsError
from rmtools.layouts.npz import npz_bytes
from rmtools.winprop.manifest import JobGrid
from rmtools.winprop.neutral import read_neutral
from rmtools.winprop.rays import read_rays
from rmtools.winprop.results import read_result

TRUE_EVERY = 40
"""True files are large: one of so many inputs is made of one."""

GRID = JobGrid(n=8, resolution_m=1.0)
FIXED_BYTES, BYTES_PER_BYTE = 4 * 2**20, 100
"""Memory allowed beside the file, and for each of its bytes: Python's numbers are large."""

WORDS = [
    *(
        b"N.C.",
        b"nan",
        b"inf",
        b"-inf",
        b"1e309",
        b"-1e-309",
        b"1e30",
        b"9" * 40,
        b"-",
        b"+.",
        b".",
    ),
    *(b"-1000", b"0", b"1e", b"BEGIN_DATA", b"END_DATA", b"Trajectory\t", b"POINT_PLANE", b"PATH "),
    *(b"8192.5", b"99999999", b"LOWER_LEFT\t0 0", b"UPPER_RIGHT\t8192 8192", b"RESOLUTION\t1e-9"),
    *(b"HEIGHT" + b"\t1.5" * 50, b"\r", b"\n", b"\t", b",", b",,", b"\0", b"\xff", b"\x1a", b" "),
]


def seeds(reference: Path | None = None) -> dict[str, tuple[str, bytes]]:
    """Sound files by their kind: name and content."""
    maps = -np.random.default_rng(1).uniform(40, 120, (3, 8, 8))
    maps[:, 2:4, 3:6] = np.nan
    csv = "x,y,pathloss_db\n" + "".join(
        f"{x + 0.5},{y + 0.5},{'' if x == 3 else 60.5 + x}\n" for x in range(8) for y in range(8)
    )
    found = {
        "area": ("tx0 Path Loss.txt", Area(maps[:1]).data()),
        "area4": ("tx0 Power.txt", Area(maps, with_z=True, separator="\t").data()),
        "trajectory": ("TX Power.txt", TRAJECTORY),
        "rays": ("TX Rays.str", RAYS),
        "csv": ("tx0.csv", csv.encode()),
        "npz": ("tx0.npz", npz_bytes({"pathloss_db": -maps[0].astype(np.float32)})),
    }
    for number, path in enumerate(sorted((reference or Path("none")).glob("winprop/*/*"))):
        found[f"true{number}"] = (path.name, path.read_bytes())
    return found


def mutate(data: bytes, random: Random) -> bytes:
    """Change a file in one to six places."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        at = random.randrange(len(changed) + 1)
        end = min(at + random.choice((1, 1, 2, 4, 10, 40, 400)), len(changed))
        kind = random.randrange(8)
        if kind == 0:
            changed[at:end] = random.randbytes(end - at)
        elif kind == 1:
            del changed[at:end]
        elif kind == 2:
            changed[at:at] = changed[at:end] * random.choice((1, 2, 20))
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            changed[at:at] = random.choice(WORDS)
        elif kind == 5:
            changed[at:end] = random.choice(WORDS)
        elif kind == 6 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        else:  # two lines change places
            lines = changed.split(b"\n")
            a, b = (random.randrange(len(lines)) for _ in range(2))
            lines[a], lines[b] = lines[b], lines[a]
            changed = bytearray(b"\n".join(lines))
    return bytes(changed)


def read(path: Path) -> None:
    """Read a file with the reader for its name, and check what comes out."""
    if path.suffix == ".str":
        rays = read_rays(path)
        for receiver in rays.receivers:
            for ray in receiver.paths:
                assert np.isfinite(rays.pathloss_db(ray))
                assert len(ray.bends_deg) == len(ray.interactions)
    elif path.suffix == ".txt":
        result = read_result(path)
        grid = result.grid
        if result.kind == "area":
            assert result.values.shape == (result.header.steps, grid.rows, grid.columns)
        assert not np.isinf(result.values).any()
        loss, _ = result.pathloss_db()
        assert loss.shape == result.values.shape
    else:
        values = read_neutral(path, GRID)
        assert values.shape == (GRID.n, GRID.n)
        assert not (values < 0).any()


def try_one(path: Path, data: bytes) -> str:
    """Read one input; returns ``read`` or the error's name, raises for anything unexpected."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    outcome = _outcome(path, data)
    peak = tracemalloc.get_traced_memory()[1] - before
    assert peak <= FIXED_BYTES + BYTES_PER_BYTE * len(data), f"{peak:,} bytes for {len(data):,}"
    return outcome


def _outcome(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    try:
        read(path)
    except RmtoolsError as error:
        return type(error).__name__
    return "read"


def fuzz(inputs: int, seed: int, folder: Path, reference: Path | None = None) -> Counter[str]:
    """Try many mutations of every kind of file; returns how they ended."""
    random, found = Random(seed), list(seeds(reference).items())
    counts: Counter[str] = Counter()
    for kind, (name, data) in found:  # before memory is counted: this loads the compiled code
        assert _outcome(folder / name, data) == "read", kind
    tracemalloc.start()
    try:
        for number in range(inputs):
            rare = number % TRUE_EVERY == 0
            pool = [item for item in found if item[0].startswith("true") == rare] or found
            kind, (name, data) = pool[number // (TRUE_EVERY if rare else 1) % len(pool)]
            changed = mutate(data, random)
            try:
                counts[f"{kind}: {try_one(folder / name, changed)}"] += 1
            except BaseException:
                (folder / "failed").write_bytes(changed)
                raise
    finally:
        tracemalloc.stop()
    return counts


def fuzz_guided(inputs: int, seed: int, folder: Path) -> None:
    """Let atheris look for inputs; it ends the process."""
    import atheris

    atheris.instrument_all()
    kinds = [name for name, _ in seeds().values()]
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, (_, data) in enumerate(seeds().values()):
        (corpus / str(number)).write_bytes(bytes([number]) + data)

    def one(data: bytes) -> None:
        if data:
            try_one(folder / kinds[data[0] % len(kinds)], data[1:])

    for name, data in seeds().values():
        _outcome(folder / name, data)
    tracemalloc.start()
    atheris.Setup(
        [sys.argv[0], f"-runs={inputs}", f"-seed={seed}", "-max_len=65536", str(corpus)], one
    )
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("mutation", "atheris"), default="mutation")
    parser.add_argument("--reference", type=Path, help="folder that holds true files in winprop/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.engine == "atheris":
            fuzz_guided(arguments.inputs, arguments.seed, Path(folder))
        counts = fuzz(arguments.inputs, arguments.seed, Path(folder), arguments.reference)
    lines = [f"{count:>8,} {outcome}" for outcome, count in sorted(counts.items())]
    lines.append(f"{counts.total():>8,} inputs, none with anything but rmtools' own errors")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
