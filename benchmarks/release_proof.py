"""The promises of a release, proven on a real dataset: ``make bench-release``.

Counts agree everywhere and other people's readers load it; every one of 200 flipped bits, 50 cut
and 20 deleted files and 10 new ones is named, and nothing else; a release that is killed at 20
random moments ends with the same digest. Also how fast a release is made and verified, beside
``sha256sum``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from rmtools.files import walk_files
from rmtools.release.manifest import read_manifest
from rmtools.release.repair import repair
from rmtools.release.verify import verify

FLIPS, CUTS, GONE, MORE, KILLS = 200, 50, 20, 10, 20


def rmtools(*args: object) -> list[str]:
    """A command of rmtools."""
    return [sys.executable, "-m", "rmtools", *map(str, args)]


def run(command: list[str], folder: Path | None = None) -> str:
    """Run a command to its end; returns what it printed."""
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def make(dataset: Path, out: Path, *more: str) -> float:
    """Make a release; returns the seconds it took."""
    began = time.perf_counter()
    command = rmtools("release", dataset, out, "--version", "1.0.0", "--date", "2026-01-02", *more)
    run(command)
    return time.perf_counter() - began


def damage(root: Path, rng: np.random.Generator) -> dict[str, str]:
    """Break random files of a release, and say which and how."""
    names = [path.relative_to(root).as_posix() for path in walk_files(root) if path.stat().st_size]
    chosen = rng.permutation(names).tolist()
    told = {}
    for name in chosen[:FLIPS]:
        data = bytearray((root / name).read_bytes())
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        (root / name).write_bytes(data)
        told[name] = "altered"
    for name in chosen[FLIPS : FLIPS + CUTS]:
        os.truncate(root / name, int(rng.integers((root / name).stat().st_size)))
        told[name] = "truncated"
    for name in chosen[FLIPS + CUTS : FLIPS + CUTS + GONE]:
        (root / name).unlink()
        told[name] = "missing"
    for k in range(MORE):
        folder = (root / str(rng.choice(names))).parent
        (folder / f"new_{k}.png").write_bytes(rng.bytes(100))
        told[(folder / f"new_{k}.png").relative_to(root).as_posix()] = "extra"
    return told


def prove_verify(release: Path, work: Path, seed: int) -> None:
    """Break a copy, verify, repair, verify again."""
    copy = shutil.copytree(release, work / f"copy{seed}")
    told = damage(copy, np.random.default_rng(seed))
    found = {finding.path: finding.problem for finding in verify(copy, threads=2).findings}
    named = sum(found.get(name) == what for name, what in told.items())
    mended, failed = repair(copy, str(release), verify(copy), threads=2)
    left = {finding.problem for finding in verify(copy, threads=2).findings}
    print(
        f"damage {seed}: {dict(Counter(told.values()))}; {named} of {len(told)} named as they are, "
        f"{len(found.keys() - told.keys())} others named; {len(mended)} mended, {len(failed)} not, "
        f"left: {sorted(left)}"
    )
    shutil.rmtree(copy)


def prove_kills(dataset: Path, work: Path, seconds: float, digest: str, *more: str) -> None:
    """Kill a release at random moments, each time going on, and compare the digests."""
    rng = np.random.default_rng(5)
    out, cut, runs = work / "killed", 0, 0
    same = Counter[bool]()
    while cut < KILLS:
        command = rmtools(
            "release", dataset, out, "--version", "1.0.0", "--date", "2026-01-02", *more
        )
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        runs += 1
        try:
            process.communicate(timeout=float(rng.uniform(0.25, 1.0)) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            cut += 1
        if out.exists():
            same[verify(out, threads=2).ok and read_manifest(out).sha256 == digest] += 1
            shutil.rmtree(out)
            shutil.rmtree(work / "killed.partial", ignore_errors=True)
    make(dataset, out, *more)
    same[verify(out, threads=2).ok and read_manifest(out).sha256 == digest] += 1
    print(f"killed {cut} times in {runs} runs; {same[True]} complete releases, {same[False]} other")
    shutil.rmtree(out)


def prove_readers(release: Path) -> None:
    """Load it as others do, and compare all counts."""
    facts = read_manifest(release).facts
    counts = {name: found.maps for name, found in facts.sets.items()}
    print(f"manifest: {facts.maps} maps, {counts}")
    index = {p.stem: len(p.read_text().splitlines()) - 1 for p in release.glob("index/*.csv")}
    page = (release / "report.html").read_text()
    told = re.findall(r"<dt>(?:radio )?maps[a-z ]*</dt><dd>([\d,]+)</dd>", page)
    report = {f"{count:,}" for count in facts.kinds.values()} <= set(told)
    print(f"index agrees: {index == counts}; report.html agrees: {report}")
    card = (release / "README.md").read_text()
    print(f"card agrees: {f'| radio maps | {facts.maps:,} |' in card}")
    try:
        import huggingface_hub
        import mlcroissant
    except ImportError as error:
        print(f"not loaded by others: {error}")
        return
    data = huggingface_hub.DatasetCard.load(release / "README.md").data
    print(f"huggingface_hub: license {data.license}, {data.size_categories}")
    dataset = mlcroissant.Dataset(release / "croissant.json")
    issues = dataset.metadata.ctx.issues
    found = Counter(record["maps/split"].decode() for record in dataset.records("maps"))
    images = sum(1 for _ in dataset.records("images"))
    print(
        f"mlcroissant: {len(issues.errors)} errors, {len(issues.warnings)} warnings; maps by set "
        f"agree: {dict(found) == counts}; {images} images"
    )


def speed(release: Path) -> None:
    """Verification beside sha256sum, files in the cache of the system."""
    size = sum(file.size for file in read_manifest(release).files)
    began = time.perf_counter()
    run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], release)
    theirs = time.perf_counter() - began
    for threads in (1, 2, 4):
        began = time.perf_counter()
        if not verify(release, threads=threads).ok:
            raise SystemExit("a sound release is not sound")
        ours = time.perf_counter() - began
        print(f"verify, {threads} threads: {size / ours / 1e6:,.0f} MB/s", end="; ")
    print(f"sha256sum: {size / theirs / 1e6:,.0f} MB/s ({size / 1e6:,.0f} MB)")


def main() -> None:
    """Prove one dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="damaged copies")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dataset.resolve().parent) as folder:
        work = Path(folder)
        os.environ["CROISSANT_CACHE"] = str(work / "cache")
        for name, more in (("files", ()), ("shards", ("--shards", "--shard-mb", "20"))):
            release = work / name
            seconds = make(args.dataset, release, *more)
            manifest = read_manifest(release)
            print(f"--- {name}: {len(manifest.files)} files made in {seconds:.1f} s")
            prove_readers(release)
            speed(release)
            if name == "files":
                for seed in range(args.seeds):
                    prove_verify(release, work, seed)
            prove_kills(args.dataset, work, seconds, manifest.sha256, *more)
        found = run(rmtools("release", "diff", work / "files", work / "shards", "--json"))
        print(f"files against shards: a {json.loads(found)['step']} change")


if __name__ == "__main__":
    main()
