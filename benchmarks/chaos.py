"""A dataset made on a Dask cluster whose processes are killed, against one made undisturbed.

Starts a scheduler and workers on this machine, lets `rmtools run --scheduler` make a dataset on
them, and meanwhile kills a random worker every few seconds and the scheduler once (it is started
again at the same address). The digests must equal those of a run in one process. `--s3` puts the
store on an S3 server on this machine (moto's)::

    python benchmarks/chaos.py [--s3] [--scenes 40] [--workers 4] [--every 5] OUT
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rmtools.files import sha256_file, sha256_tree, walk_files
from rmtools.run.ledger import LEDGER_FOLDER
from rmtools.store import STORE_NAME
from rmtools.store_place import read_url

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = [
    "name=chaos",
    "grid.n=64",
    "city.tiles.min_road_m=30",
    "traffic.trajectories=2",
    "traffic.frames=3",
    "traffic.vehicles=4",
    "transmitters.count=2",
    "transmitters.clear_of_roads=false",
    "transmitters.courtyards=true",
    "transmitters.height_m=4",
    "transmitters.margin_m=4",
    "transmitters.min_spacing_m=3",
    "split.kind=random",
]
BUCKET = "radio-maps"
S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port of this machine, which may be a busy one."""
    for _ in range(1800):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens on port {port}")


def command(out: Path, scenes: int, *more: str) -> list[str]:
    """Command line that makes the dataset."""
    settings = [*SETTINGS, f"city.tiles.count={scenes}"]
    given = [part for setting in settings for part in ("--set", setting)]
    return [sys.executable, "-m", "rmtools", "run", "demo", "--out", str(out), *given, *more]


def digests(root: Path) -> dict[str, str]:
    """Digest of every file of the store, wherever it lies, and of the other parts."""
    trees = (name for name in ("motion", "scenes") if (root / name).is_dir())
    found = {name: sha256_tree(root / name) for name in trees}
    plain = (name for name in ("split.json", "recipe.yaml") if (root / name).is_file())
    found |= {name: sha256_file(root / name) for name in plain}
    remote, store = read_url(root), root / STORE_NAME
    if remote is not None:
        return found | {f"{STORE_NAME}/{name}": remote.describe(name)[1] for name in remote.sizes()}
    files = {path.relative_to(root).as_posix(): path for path in walk_files(store)}
    return found | {name: sha256_file(path) for name, path in files.items()}


@contextlib.contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """An S3 server on this machine with one bucket; gives its address."""
    port = free_port()
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=file,
            stderr=file,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(port)
        _make_bucket(address)
        yield address
    finally:
        server.kill()
        server.wait()


def _make_bucket(address: str) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=S3_ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()


class DaskProcesses:
    """A scheduler and workers that are started again when they end; use as a context manager.

    Parameters
    ----------
    workers
        How many, each a nanny with a process of one thread.
    folder
        For logs and scratch files.
    environment
        Of all processes.
    memory
        Limit of each worker, as Dask writes it.
    """

    def __init__(
        self,
        workers: int,
        folder: Path,
        environment: dict[str, str] | None = None,
        memory: str = "2GiB",
    ) -> None:
        self._port, self._folder, self._memory = free_port(), folder, memory
        self._environment = {**os.environ, **(environment or {})}
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * workers
        self.address = f"tcp://127.0.0.1:{self._port}"

    def __enter__(self) -> DaskProcesses:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start_scheduler()
        wait_for(self._port)
        self.keep_workers()
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self._workers, self._scheduler]:
            if process is not None:
                for child in _children(process.pid):
                    _kill(child)
                process.kill()
                process.wait()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    def start_scheduler(self) -> None:
        """Start the scheduler, always at the same address."""
        port = str(self._port)
        self._scheduler = self._start(
            "scheduler", "scheduler", "--host", "127.0.0.1", "--port", port
        )

    def kill_scheduler(self) -> None:
        """Kill the scheduler; its workers end by themselves."""
        if self._scheduler is not None:
            self._scheduler.kill()
            self._scheduler.wait()

    def keep_workers(self) -> None:
        """Start every worker that is not running."""
        for index, process in enumerate(self._workers):
            if process is None or process.poll() is not None:
                more = ["--nthreads", "1", "--memory-limit", self._memory]
                more += ["--local-directory", str(self._folder)]
                self._workers[index] = self._start(f"worker{index}", "worker", self.address, *more)

    def kill_worker(self, chooser: random.Random) -> bool:
        """Kill the process in which a random worker computes; whether there was one."""
        chosen = chooser.choice(self._workers)
        children = _children(chosen.pid) if chosen is not None else []
        for child in children:
            _kill(child)
        return bool(children)


def _children(pid: int) -> list[int]:
    """Processes that a nanny computes in (Linux)."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children = [int(child) for child in path.read_text().split()]
            found += [
                c for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()
            ]
    return found


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def entries(root: Path) -> int:
    """How many units of a dataset are finished."""
    return len(list((root / LEDGER_FOLDER).rglob("*.json")))


class Chaos:
    """A thread that kills a worker every few seconds, and the scheduler once.

    Parameters
    ----------
    cluster
        Whose processes are killed.
    every_s
        Seconds between two workers.
    root
        Dataset that is being made.
    scheduler_at
        The scheduler is killed when so many units are finished.
    """

    def __init__(
        self, cluster: DaskProcesses, every_s: float, root: Path, scheduler_at: int
    ) -> None:
        self._cluster, self._every_s = cluster, every_s
        self._root, self._scheduler_at = root, scheduler_at
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.workers_killed, self.schedulers_killed = 0, 0

    def __enter__(self) -> Chaos:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        chooser, last = random.Random(7), time.monotonic()  # noqa: S311 - not a secret
        while not self._ended.wait(0.2):
            if not self.schedulers_killed and entries(self._root) >= self._scheduler_at:
                self._cluster.kill_scheduler()
                self.schedulers_killed = 1
                self._ended.wait(2)
                self._cluster.start_scheduler()
            self._cluster.keep_workers()
            begun = entries(self._root) > 1
            if begun and time.monotonic() - last >= self._every_s:
                self.workers_killed += self._cluster.kill_worker(chooser)
                last = time.monotonic()


def main() -> None:
    """Make the dataset twice and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="folder for both datasets and all logs")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between killed workers")
    parser.add_argument("--s3", action="store_true", help="store on an S3 server here")
    options = parser.parse_args()
    calm, wild = options.out / "calm", options.out / ("wild-s3" if options.s3 else "wild")
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    subprocess.run(command(calm, options.scenes, "--workers", "1"), check=True)
    print(f"one process: {time.monotonic() - began:.0f} s, {entries(calm)} units\n")
    with contextlib.ExitStack() as stack:
        environment, more = dict(os.environ), []
        if options.s3:
            address = stack.enter_context(s3_server(options.out / "s3.log"))
            environment |= {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": address}
            os.environ.update(environment)
            more = ["--store", f"s3://{BUCKET}/wild/{STORE_NAME}"]
        cluster = stack.enter_context(
            DaskProcesses(options.workers, options.out / "dask", environment)
        )
        began = time.monotonic()
        with Chaos(cluster, options.every, wild, entries(calm) // 3) as chaos:
            more += ["--scheduler", cluster.address]
            subprocess.run(command(wild, options.scenes, *more), check=True, env=environment)
        print(
            f"cluster: {time.monotonic() - began:.0f} s, {chaos.workers_killed} workers and "
            f"{chaos.schedulers_killed} scheduler killed"
        )
        expected, found = digests(calm), digests(wild)
    different = sorted(k for k in expected.keys() | found if expected.get(k) != found.get(k))
    print(f"{len(expected)} digests, {len(different)} different", *different[:10])
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
