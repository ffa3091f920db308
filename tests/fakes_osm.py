"""OpenStreetMap's servers on this machine: Overpass and Nominatim replaying stored answers."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import osmium
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBJECTS = ("building", "building:part", "highway")


def overpass_json(pbf: Path, bbox: tuple[float, float, float, float]) -> dict[str, Any]:
    """What Overpass would answer for the buildings and highways of a box, made from a local file.

    Ways and relations that touch the box come whole, with the nodes and ways they are made of; as
    in a true answer the objects carry id, coordinates, tags and members and nothing else.
    """
    box = shapely.box(*bbox)
    nodes: dict[int, tuple[float, float]] = {}
    ways: dict[int, dict[str, Any]] = {}
    inside: set[int] = set()
    relations: list[dict[str, Any]] = []
    for item in osmium.FileProcessor(str(pbf)):
        tags = {tag.k: tag.v for tag in item.tags}
        if item.is_node():
            nodes[item.id] = (item.lon, item.lat)
        elif item.is_way():
            refs = [node.ref for node in item.nodes]
            ways[item.id] = {"type": "way", "id": item.id, "nodes": refs}
            ways[item.id] |= {"tags": tags} if tags else {}
            if shapely.LineString([nodes[ref] for ref in refs]).intersects(box):
                inside.add(item.id)
        elif not inside.isdisjoint(member.ref for member in item.members if member.type == "w"):
            members = [
                {
                    "type": {"n": "node", "w": "way", "r": "relation"}[m.type],
                    "ref": m.ref,
                    "role": m.role,
                }
                for m in item.members
            ]
            relations.append({"type": "relation", "id": item.id, "members": members, "tags": tags})
    kept = {key for key in inside if not set(SUBJECTS).isdisjoint(ways[key].get("tags", {}))}
    kept |= {m["ref"] for relation in relations for m in relation["members"] if m["type"] == "way"}
    used = sorted({ref for key in kept for ref in ways[key]["nodes"]})
    elements: list[dict[str, Any]] = [
        {"type": "node", "id": ref, "lat": round(nodes[ref][1], 7), "lon": round(nodes[ref][0], 7)}
        for ref in used
    ]
    return {
        "version": 0.6,
        "generator": "Overpass API (replayed)",
        "osm3s": {
            "timestamp_osm_base": "2019-04-21T09:50:14Z",
            "copyright": "The data included in this document is from www.openstreetmap.org. "
            "The data is made available under ODbL.",
        },
        "elements": elements + [ways[key] for key in sorted(kept)] + relations,
    }


@dataclass
class OsmServer:
    """One server for both services.

    Attributes
    ----------
    overpass, nominatim
        Bodies of the answers.
    refusals
        Status codes to answer first, one per request to either service.
    requests
        Paths asked for, with their User-Agent.
    most_at_once
        Largest number of requests that were open at the same time.
    """

    overpass: bytes = b"{}"
    nominatim: bytes = b"[]"
    refusals: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _open: int = 0

    @property
    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(path for path, _ in self.requests)

    @contextlib.contextmanager
    def running(self) -> Iterator[OsmServer]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        state, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                agent = self.headers.get("User-Agent", "")
                path = urlsplit(self.path).path
                with lock:
                    state.requests.append((path, agent))
                    state._open += 1
                    state.most_at_once = max(state.most_at_once, state._open)
                    status = state.refusals.pop(0) if state.refusals else 200
                if not agent.startswith("rmtools/"):
                    status = 406
                body = state.overpass if path == "/api/interpreter" else state.nominatim
                if path not in ("/api/interpreter", "/search"):
                    status = 404
                self.send_response(status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                body = body if status == 200 else b"<html>an error page</html>"
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                with lock:
                    state._open -= 1

            do_GET = do_POST = answer  # noqa: N815 - names given by http.server

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        return Handler


def compact(value: Any) -> bytes:
    """JSON as a server sends it, one element per line."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace('}, {"type": "', '},\n{"type": "').encode() + b"\n"
