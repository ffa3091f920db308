"""How fast text results of WinProp are read, beside numpy.loadtxt in the same run.

    make bench-winprop

One synthetic result of 256 x 256 pixels (65,536 rows) with 3 and with 4 columns, a sixth of it
``N.C.``, is read in turn by ``rmtools.winprop.read_result`` (everything: file, header, checks) and
by ``numpy.loadtxt``. The latter cannot read ``N.C.``; it gets a converter, as one has to write, and
in a second comparison a file whose ``N.C.`` were replaced by ``nan`` beforehand, which is the best
case for it. Times are processor time of one thread, the best of several turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fakes_results import Area

from rmtools.winprop import read_result

if TYPE_CHECKING:
    from collections.abc import Callable

N = 256


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def number(text: str) -> float:
    """The converter that loadtxt needs."""
    return np.nan if text == "N.C." else float(text)


def compare(folder: Path, *, with_z: bool, turns: int) -> dict[str, float]:
    """Best time of every way, for one file."""
    random = np.random.default_rng(1)
    values = -random.uniform(50, 147, (1, N, N))
    for row, col in random.integers(0, N - 26, (20, 2)):
        values[:, row : row + 26, col : col + 26] = np.nan
    data = Area(values, with_z=with_z).data()
    path = folder / "tx0 Path Loss.txt"
    path.write_bytes(data)
    easy = folder / "nan.txt"
    easy.write_bytes(data.replace(b"N.C.", b"nan"))
    skip = data[: data.index(b"BEGIN_DATA")].count(b"\n") + 1

    def load(file: Path, **options: object) -> np.ndarray:
        return np.loadtxt(file, skiprows=skip, max_rows=N * N, **options)

    column = 3 if with_z else 2
    ways = {
        "read_result": lambda: read_result(path),
        "loadtxt": lambda: load(path, converters={column: number}),
        "loadtxt, nan": lambda: load(easy),
    }
    expected = ways["loadtxt"]()[:, column].reshape(N, N).T[::-1]
    np.testing.assert_array_equal(ways["read_result"]().values[0], expected.astype(np.float32))
    best = dict.fromkeys(ways, np.inf)
    for turn in range(turns):
        for name, work in ways.items():
            if name == "read_result" or turn % 4 == 0:
                best[name] = min(best[name], seconds(work))
    return {"bytes": len(data), "share": float(np.isnan(values).mean()), **best}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    print("columns    size   MB/s      ms   loadtxt with N.C.   loadtxt, nan instead")
    with tempfile.TemporaryDirectory() as folder:
        for with_z in (False, True):
            found = compare(Path(folder), with_z=with_z, turns=turns)
            own = found["read_result"]
            print(
                f"{4 if with_z else 3:>7} {found['bytes'] / 1e6:>5.2f} MB"
                f" {found['bytes'] / own / 1e6:>6.0f} {1e3 * own:>7.2f}"
                f" {found['loadtxt'] / own:>11.1f} times {found['loadtxt, nan'] / own:>15.1f} times"
            )


if __name__ == "__main__":
    main()
