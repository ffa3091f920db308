"""A server of a dataset in a thread, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from rmtools.serve import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rmtools.serve.server import Server


@contextlib.contextmanager
def serving(dataset: Path) -> Iterator[Server]:
    """Serve a dataset at a free port of this machine."""
    server = listen(dataset)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
