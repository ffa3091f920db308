"""Asking OpenStreetMap's servers through OSMnx: politely, a bounded number of times, only once.

OSMnx by itself repeats a request without end while a server is busy, takes an answer that was
broken off for a whole one, and asks Google for addresses where DNS fails. A hook on every response
and its own settings, put back afterwards, keep it from that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import rmtools
from rmtools.errors import BusyError, InputError, MissingError, RecipeError
from rmtools.files import PARTIAL_SUFFIX, read_json, sha256_json, sha256_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests import Response

MAX_RESPONSE_BYTES = 2**30
TRIES = 4
MAX_PAUSE_S = 120.0
LOCK_TIMEOUT_S = 900.0

USE_AN_EXTRACT = (
    "Read a local extract instead (`rmtools build-scenes FILE.osm.pbf`; "
    "https://download.geofabrik.de has them)"
)

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Servers:
    """Where to ask, and how patiently.

    Attributes
    ----------
    overpass, nominatim
        Base addresses of the two services; a mirror or a server of one's own may stand here.
    pause_s
        Least time to wait before asking again after "too many requests" (429) or "busy" (504);
        the n-th time n times as long.
    """

    overpass: str = "https://overpass-api.de/api"
    nominatim: str = "https://nominatim.openstreetmap.org"
    pause_s: float = 30.0

    def __post_init__(self) -> None:
        for url in (self.overpass, self.nominatim):
            if not re.match(r"https?://[^/\s]", url):
                raise RecipeError(f"{url!r} is not an http(s) address of a server.")


@dataclass(frozen=True)
class Answers:
    """What the servers sent.

    Attributes
    ----------
    overpass
        The Overpass answer, as JSON.
    sha256
        SHA-256 of the cache folder with all answers (:func:`rmtools.files.sha256_tree`).
    """

    overpass: dict[str, Any]
    sha256: str


def ask(
    source: str,
    fetch: Callable[[], T],
    *,
    cache: Path | None,
    contact: str | None,
    servers: Servers,
) -> tuple[T, Answers]:
    """Run OSMnx with our settings, its answers kept in a folder of `cache` for this source alone.

    A folder is there only when the download was complete; then no server is asked. Its name
    depends on the source, the servers and the version of OSMnx, which words the queries.

    Parameters
    ----------
    source
        What is asked for; part of the cache key.
    fetch
        Calls OSMnx; called again after a pause when a server is busy.
    cache
        Folder with the answers; ``$XDG_CACHE_HOME/rmtools/osm`` when None.
    contact
        URL or e-mail address to send along.
    servers
        Whom to ask.

    Returns
    -------
    result
        What `fetch` returned.
    answers
        The raw answers behind it.

    Raises
    ------
    MissingError
        A server cannot be reached or refuses.
    InputError
        The cache is damaged.
    BusyError
        Another process is downloading into the same cache for too long.
    """
    import osmnx

    agent = user_agent(contact)
    root = cache if cache is not None else _user_cache()
    key = sha256_json([source, servers.overpass, servers.nominatim, osmnx.__version__])[:24]
    folder = root / key
    with _alone(root):
        if folder.is_dir():
            overpass = _overpass_answer(folder)
            with _osmnx_settings(folder, agent, servers):
                result = _patiently(fetch, servers)
        else:
            staging = root / f"{key}{PARTIAL_SUFFIX}"
            shutil.rmtree(staging, ignore_errors=True)  # a killed run may have left it
            try:
                with _osmnx_settings(staging, agent, servers):
                    result = _patiently(fetch, servers)
                overpass = _overpass_answer(staging)
                staging.rename(folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return result, Answers(overpass, sha256_tree(folder))


def user_agent(contact: str | None) -> str:
    """Name under which rmtools asks; overpass-api.de answers 406 to programs without their own.

    Raises
    ------
    RecipeError
        The contact cannot stand in an HTTP header.
    """
    if contact is None:
        return f"rmtools/{rmtools.__version__}"
    if not re.fullmatch(r"[!-'*-~][ -'*-~]{0,199}", contact):
        raise RecipeError(
            f"{contact[:60]!r} is not a URL or e-mail address in printable ASCII.", where="contact"
        )
    return f"rmtools/{rmtools.__version__} (+{contact})"


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rmtools" / "osm"


def _overpass_answer(folder: Path) -> dict[str, Any]:
    """The answer from Overpass among those in a cache folder; those from Nominatim are lists."""
    for path in sorted(folder.glob("*.json")):
        answer = read_json(path, MAX_RESPONSE_BYTES)
        if isinstance(answer, dict) and isinstance(answer.get("elements"), list):
            return answer
    raise InputError(
        "this download is incomplete.",
        where=folder,
        remedy="Delete the folder and run the same command again.",
    )


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One download at a time: the servers block parallel requests, OSMnx's settings are global."""
    import filelock

    root.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(root / ".lock", timeout=LOCK_TIMEOUT_S):
            yield
    except filelock.Timeout as error:
        raise BusyError(
            f"another process has been downloading for {LOCK_TIMEOUT_S / 60:.0f} minutes.",
            where=root,
            remedy="Wait for it, or choose another cache folder.",
        ) from error


@contextlib.contextmanager
def _osmnx_settings(cache: Path, agent: str, servers: Servers) -> Iterator[None]:
    """Set OSMnx up for us and put its global settings back afterwards."""
    from osmnx import settings

    changes = {
        "cache_folder": cache,
        "cache_only_mode": False,
        "doh_url_template": None,  # else it asks Google for addresses when DNS fails
        "http_accept_language": "en",
        "http_referer": agent,
        "http_user_agent": agent,
        "nominatim_url": servers.nominatim,
        "overpass_memory": None,
        "overpass_rate_limit": False,  # asks a status page and sleeps without bound; see _inspect
        "overpass_settings": "[out:json][timeout:{timeout}]{maxsize}",
        "overpass_url": servers.overpass,
        "requests_kwargs": {**settings.requests_kwargs, "hooks": {"response": _inspect}},
        "requests_timeout": 180,
        "use_cache": True,
    }
    before = {name: getattr(settings, name) for name in changes}
    resolver = socket.getaddrinfo  # OSMnx replaces it to pin a server
    try:
        for name, value in changes.items():
            setattr(settings, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
        socket.getaddrinfo = resolver


class _Later(Exception):  # noqa: N818 - not an error: the server asks for patience
    """A server said that it is busy."""

    def __init__(self, host: str, status: int, pause_s: float) -> None:
        super().__init__(f"{host} answered {status}")
        self.host, self.status, self.pause_s = host, status, pause_s


def _inspect(response: Response, **_: Any) -> None:
    """Look at every answer before OSMnx does; it would retry without end, or accept half of one."""
    if response.is_redirect:
        return
    host, status = _host(response.url), response.status_code
    if status in (429, 503, 504):
        stated = response.headers.get("Retry-After", "")
        response.close()
        raise _Later(host, status, float(stated) if stated.isdigit() else 0.0)
    if not response.ok:
        response.close()
        raise MissingError(
            f"the server refused with HTTP status {status} ({_MEANING.get(status, 'unexpected')}).",
            where=host,
            remedy=f"Set a contact (URL or e-mail) and try again later. {USE_AN_EXTRACT}.",
        )
    try:
        answer = response.json()
    except ValueError as error:
        raise MissingError(
            "the server sent something that is not JSON.",
            where=host,
            remedy=f"Try again later, or name another server. {USE_AN_EXTRACT}.",
        ) from error
    if isinstance(answer, dict) and "remark" in answer:
        raise MissingError(
            f"the server broke off the query ({str(answer['remark'])[:200]}); its answer is "
            "incomplete and was not used.",
            where=host,
            remedy=f"Choose a smaller area. {USE_AN_EXTRACT}.",
        )


_MEANING = {
    400: "it does not understand the query",
    403: "this address or program is blocked",
    406: "it does not accept the User-Agent",
    429: "too many requests",
    503: "the server is not available",
    504: "the server is too busy, or the query too large",
}


def _patiently(fetch: Callable[[], T], servers: Servers) -> T:
    """Ask, wait while the server is busy, and ask again, a bounded number of times."""
    import requests

    attempt = 0
    while True:
        attempt += 1
        try:
            return fetch()
        except _Later as busy:
            pause_s = max(busy.pause_s, servers.pause_s * attempt)
            if attempt == TRIES or pause_s > MAX_PAUSE_S:
                raise MissingError(
                    f"the server answers {busy.status} ({_MEANING[busy.status]}), {attempt} times "
                    f"in a row; it asks for a pause of {pause_s:.0f} s.",
                    where=busy.host,
                    remedy=f"Try again later, with nothing else asking it. {USE_AN_EXTRACT}.",
                ) from None
            _log.warning("%s; asking again in %.0f s", busy, pause_s)
            time.sleep(pause_s)
        except requests.RequestException as error:
            url = error.request.url if error.request is not None else servers.overpass
            raise MissingError(
                f"the server cannot be reached ({type(error).__name__}).",
                where=_host(str(url)),
                remedy=f"Check the network. {USE_AN_EXTRACT}, or name a cache folder that already "
                "holds the answers to this query.",
            ) from error


def _host(url: str) -> str:
    return urlsplit(url).netloc
