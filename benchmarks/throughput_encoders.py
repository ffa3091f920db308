"""How maps are packed, beside other ways, on maps of a store; part of throughput.py.

Ways that need a package which is not there (zlib-ng, isal) are left out.
"""

from __future__ import annotations

import importlib.util
import io
import struct
import time
import zlib
from typing import TYPE_CHECKING, Any

import deflate
import numpy as np
from PIL import Image

from rmtools.images import grey_png
from rmtools.layouts.npz import npz_bytes
from rmtools.units import MOTION_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rmtools.store import Store

MAPS = 12
"""Spread over all scenes and transmitters."""


def compare(store: Store, turns: int) -> tuple[str, dict[str, Any]]:
    """Time and size of every way, as ratios to ours, which is the first of each kind."""
    sizes = store.sizes
    picks = np.linspace(0, sizes.scene * sizes.tx - 1, MAPS).astype(int)
    losses = [store.pathloss(k // sizes.tx, 0, k % sizes.tx)[0] for k in picks.tolist()]
    greys = [MOTION_SCALE.encode(loss) for loss in losses]
    sequence = [store.pathloss(k // sizes.tx, 0, k % sizes.tx) for k in picks[::4].tolist()]
    kinds: list[tuple[str, list[Any], dict[str, Callable[[Any], bytes]], int]] = [
        ("PNG", greys, png_ways(), 1),
        ("npz", losses, npz_ways(), 1),
        ("store", sequence, store_ways(), sizes.frame),
    ]
    lines, results = [], {}
    for kind, samples, ways, each in kinds:
        found = times(samples, ways, turns)
        own_s, own_bytes = next(iter(found.values()))
        lines.append(
            f"{kind}: ours takes {1e3 * own_s / each:.2f} ms and {own_bytes / each:,.0f} "
            "bytes a map"
        )
        for name, (seconds, size) in found.items():
            ratios = f"{seconds / own_s:>6.2f} of the time {size / own_bytes:>6.3f} of the size"
            lines.append(f"  {name:<34} {ratios}")
        results[kind] = {
            name: {"ms_per_map": 1e3 * seconds / each, "bytes_per_map": size / each}
            for name, (seconds, size) in found.items()
        }
    return "\n".join(lines), results


def times(
    samples: list[Any], ways: dict[str, Callable[[Any], bytes]], turns: int
) -> dict[str, tuple[float, float]]:
    """Processor time and size for one sample; the ways take turns, the best turn counts."""
    best, size = dict.fromkeys(ways, np.inf), dict.fromkeys(ways, 0)
    for _ in range(turns):
        for name, way in ways.items():
            begin = time.process_time()
            size[name] = sum(len(way(sample)) for sample in samples)
            best[name] = min(best[name], time.process_time() - begin)
    return {name: (best[name] / len(samples), size[name] / len(samples)) for name in ways}


# -- PNG -----------------------------------------------------------------------------------------


def png_ways() -> dict[str, Callable[[Any], bytes]]:
    """Ours, Pillow with other settings, and PNGs put together with other deflaters."""

    def pillow(**options: Any) -> Callable[[Any], bytes]:
        def write(levels: Any) -> bytes:
            buffer = io.BytesIO()
            Image.fromarray(levels).save(buffer, "PNG", **options)
            return buffer.getvalue()

        return write

    ways: dict[str, Callable[[Any], bytes]] = {
        "ours: rows less the row above, libdeflate, level 3": lambda levels: grey_png(levels, {}),
        "Pillow, runs": pillow(compress_type=3),
        "Pillow, its default": pillow(),
        "Pillow, level 1": pillow(compress_level=1),
        "Pillow, level 9": pillow(compress_level=9),
        "Pillow, optimize": pillow(optimize=True),
    }
    for name, way in deflaters(zlib_header=True).items():
        ways[f"rows less the row above, {name}"] = lambda levels, way=way: up_png(levels, way)
    return ways


def up_png(levels: Any, pack: Callable[[bytes], bytes]) -> bytes:
    """A grey PNG whose rows are all differences to the row above (filter 2)."""
    rows, columns = levels.shape
    lines = np.empty((rows, columns + 1), np.uint8)
    lines[:, 0], lines[0, 1:] = 2, levels[0]
    np.subtract(levels[1:], levels[:-1], out=lines[1:, 1:])
    header = b"IHDR" + struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for chunk in (header, b"IDAT" + pack(lines.tobytes()), b"IEND"):
        png += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png


# -- npz -----------------------------------------------------------------------------------------


def npz_ways() -> dict[str, Callable[[Any], bytes]]:
    """Ours with its headers, and the bytes of the array deflated by others."""
    ways: dict[str, Callable[[Any], bytes]] = {
        "ours: with headers, libdeflate, level 4": lambda loss: npz_bytes(
            {"pathloss_db": loss, **_METADATA}
        )
    }
    for name, way in deflaters(zlib_header=False).items():
        ways[f"pixels alone, {name}"] = lambda loss, way=way: way(loss.tobytes())
    return ways


_METADATA = {f"about_{k}": "twenty short texts and numbers" for k in range(18)}


def deflaters(*, zlib_header: bool) -> dict[str, Callable[[bytes], bytes]]:
    """Deflate by the packages that are there; all unpack with zlib."""
    bits = 15 if zlib_header else -15

    def of_zlib(module: Any, level: int) -> Callable[[bytes], bytes]:
        def way(data: bytes) -> bytes:
            packer = module.compressobj(level, module.DEFLATED, bits)
            return bytes(packer.compress(data) + packer.flush())

        return way

    def of_runs(data: bytes) -> bytes:
        packer = zlib.compressobj(1, zlib.DEFLATED, bits, strategy=zlib.Z_RLE)
        return packer.compress(data) + packer.flush()

    ways = {f"zlib, level {level}": of_zlib(zlib, level) for level in (1, 6)}
    ways["zlib, runs"] = of_runs
    if importlib.util.find_spec("zlib_ng"):
        from zlib_ng import zlib_ng

        ways |= {f"zlib-ng, level {level}": of_zlib(zlib_ng, level) for level in (1, 2, 6)}
    if importlib.util.find_spec("isal"):
        from isal import isal_zlib

        ways |= {f"isal, level {level}": of_zlib(isal_zlib, level) for level in (0, 1, 2)}
    pack = deflate.zlib_compress if zlib_header else deflate.deflate_compress
    ways |= {
        f"libdeflate, level {level}": lambda data, level=level: bytes(pack(data, level))
        for level in (1, 2, 3, 4, 5, 6)
    }
    return ways


# -- store ---------------------------------------------------------------------------------------


def store_ways() -> dict[str, Callable[[Any], bytes]]:
    """A chunk of the store, all frames of a sequence: Blosc with its codecs and blocks."""
    from numcodecs import blosc

    def pack(codec: str, level: int, shuffle: int, *, whole: bool) -> Callable[[Any], bytes]:
        def way(loss: Any) -> bytes:
            block = loss.nbytes if whole else 0  # Blosc's own choice is less than a frame
            data = np.ascontiguousarray(loss)
            return bytes(blosc.compress(data, codec.encode(), level, shuffle, block))

        return way

    bits, bytewise = blosc.BITSHUFFLE, blosc.SHUFFLE
    ways = {"ours: zstd, level 3, bytes, one block": pack("zstd", 3, bytewise, whole=True)}
    for codec, level, shuffle in (
        *(("zstd", level, shuffle) for level in (1, 3, 5) for shuffle in (bytewise, bits)),
        *(("lz4", 5, bytewise), ("lz4hc", 9, bytewise), ("zlib", 1, bytewise)),
    ):
        for whole in (True, False):
            name = f"{codec}, level {level}, {'bytes' if shuffle == bytewise else 'bits'}"
            name += ", one block" if whole else ", small blocks"
            if not (whole and (codec, level, shuffle) == ("zstd", 3, bytewise)):
                ways[name] = pack(codec, level, shuffle, whole=whole)
    return ways
