"""The path search of the Dominant Path Model written plainly: an oracle for the compiled one.

It follows docs/dpm.md, "The search", step by step: Python's heapq, no compiled code, every edge
looked at in every sight-line test, nothing remembered but the labels. It solves one map; frames of
a sequence must equal it, too.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rmtools.city.rasters import building_height
from rmtools.radio.dpm.solver import LEVEL_PX
from rmtools.radio.dpm.space import ROOF_STEP_PX
from rmtools.radio.dpm.visibility import ROOF_END_PX, TOLERANCE_PX
from rmtools.radio.dpm.walls import building_edges, edges_of, to_pixels
from rmtools.radio.solver import NO_OBSTACLES

if TYPE_CHECKING:
    from rmtools.radio.dpm.presets import Preset
    from rmtools.radio.solver import Obstacles, Transmitter
    from rmtools.scene import Scene
    from rmtools.types import BoolArray, FloatArray

STREET, ROOF = "street", "roof"

Node = tuple[int, int]  # row, col
SOURCE: Node = (-1, -1)


class Point(NamedTuple):
    """A place in pixels, pixel centres on whole numbers, v to the south; z is the height."""

    u: float
    v: float
    z: float
    kind: str


class Label(NamedTuple):
    """The path to a node: its last bend, and what it has cost."""

    loss: float
    length: float  # metres
    extra: float  # dB of bends and roofs, less the gain of the antenna
    parent: Node


class Walls:
    """Edges, and the height up to which they stop sight lines."""

    def __init__(self, edges: FloatArray, tops: FloatArray) -> None:
        self.edges, self.tops = edges, tops

    def stop(self, p: Point, q: Point) -> bool:
        """Whether any of them stops the straight line from p to q."""
        if not len(self.edges) or (p.u, p.v) == (q.u, q.v):
            return False
        au, av, bu, bv = self.edges.T[:4]
        du, dv = q.u - p.u, q.v - p.v
        side_a, side_b = du * (av - p.v) - dv * (au - p.u), du * (bv - p.v) - dv * (bu - p.u)
        eu, ev = bu - au, bv - av
        side_p, side_q = eu * (p.v - av) - ev * (p.u - au), eu * (q.v - av) - ev * (q.u - au)
        met = (side_a * side_b <= 0) & (side_p * side_q <= 0) & (side_p != side_q)
        return any(
            self._stops(i, p, q, *(float(s[i]) for s in (side_a, side_b, side_p, side_q)))
            for i in np.flatnonzero(met)
        )

    def shares(self, p: Point, q: Point) -> list[float]:
        """Where the line through p and q crosses edges in plan: 0 at p, 1 at q."""
        found = []
        for au, av, bu, bv in self.edges[:, :4]:
            across = (q.u - p.u) * (bv - av) - (q.v - p.v) * (bu - au)
            if across != 0.0:
                t = ((au - p.u) * (bv - av) - (av - p.v) * (bu - au)) / across
                s = ((au - p.u) * (q.v - p.v) - (av - p.v) * (q.u - p.u)) / across
                if 0.0 <= s <= 1.0:
                    found.append(float(t))
        return found

    def _stops(
        self, i: int, p: Point, q: Point, side_a: float, side_b: float, side_p: float, side_q: float
    ) -> bool:
        a, b, before, after = self.edges[i].reshape(4, 2)
        top = self.tops[i]
        t = side_p / (side_p - side_q)
        length = math.sqrt((q.u - p.u) ** 2 + (q.v - p.v) ** 2)
        if p.z + t * (q.z - p.z) > top:
            return False  # passes above it
        for end, share in ((p, t), (q, 1.0 - t)):
            if end.kind != STREET and top <= end.z and share * length <= ROOF_END_PX:
                return False  # a wall close to an end on a roof
        for end, other, side in ((p, q, side_q), (q, p, side_p)):
            if (other.z <= top or side > 0.0) and _near(end, a, b):
                return False  # an end on the wall, unless seen from the wall's own roof
        low = max(p.z, q.z) <= top
        for side, corner, next_corner in ((side_a, a, before), (side_b, b, after)):
            if low and side == 0.0 and _near(q, corner, next_corner):
                return False  # a corner, and the line goes on along the wall behind it
        return True


def _near(p: Point, a: FloatArray, b: FloatArray) -> bool:
    """Whether a point lies on an edge or within the tolerance of it."""
    du, dv = b - a
    square = du * du + dv * dv
    t = ((p.u - a[0]) * du + (p.v - a[1]) * dv) / square if square > 0.0 else 0.0
    t = min(max(t, 0.0), 1.0)
    return (a[0] + t * du - p.u) ** 2 + (a[1] + t * dv - p.v) ** 2 <= TOLERANCE_PX**2


def _along(a: Point, b: Point, t: float) -> Point:
    """The point of the straight line from a to b at a share of its length."""
    return Point(*(x + t * (y - x) for x, y in zip(a[:3], b[:3], strict=True)), STREET)


def distance(a: Point, b: Point) -> float:
    """Distance in space."""
    du, dv, dz = b.u - a.u, b.v - a.v, b.z - a.z
    return math.sqrt(du * du + dv * dv + dz * dz)


def turn_rad(a: Point, b: Point, c: Point) -> float:
    """Angle by which the path a, b, c turns at b."""
    lengths = distance(a, b) * distance(b, c)
    if lengths <= 0.0:
        return 0.0
    dot = sum((y - x) * (z - y) for x, y, z in zip(a[:3], b[:3], c[:3], strict=True))
    return math.acos(min(max(dot / lengths, -1.0), 1.0))


class Search:
    """One map."""

    def __init__(
        self,
        preset: Preset,
        scene: Scene,
        transmitter: Transmitter,
        obstacles: Obstacles = NO_OBSTACLES,
    ) -> None:
        grid = scene.grid
        self.preset, self.n, self.resolution_m = preset, grid.n, grid.resolution_m
        self.breakpoint_m = preset.breakpoint_m(transmitter.z_m)
        self.antenna = transmitter.antenna
        u, v = to_pixels(grid, np.array([transmitter.x, transmitter.y]))
        self.source = Point(float(u), float(v), transmitter.z_m / grid.resolution_m, STREET)

        footprints = [building.polygon for building in scene.buildings]
        crossing = [preset.bend_height_m(building.height_m) for building in scene.buildings]
        edges, tops = building_edges(grid, footprints, crossing)
        self.walls = Walls(edges, tops / self.resolution_m - LEVEL_PX)
        heights = building_height(scene)
        self.mask: BoolArray = heights > preset.receiver_height_m
        self.z = np.full(grid.shape, preset.receiver_height_m)
        self.z[self.mask] = [preset.bend_height_m(float(h)) for h in heights[self.mask]]
        self.z /= self.resolution_m
        self.kind = np.where(self.mask, ROOF, STREET)

        cars = to_pixels(grid, obstacles.outlines)
        self.top = obstacles.height_m / self.resolution_m
        self.apex = self.top + preset.vehicle_clearance_m / self.resolution_m
        self.cars = [Walls(edges_of(car), np.full(4, self.top)) for car in cars]
        self.vehicles = Walls(edges_of(cars).reshape(-1, 8), np.full(4 * len(cars), self.top))

        self.labels: dict[Node, Label] = {}
        self.final: set[Node] = set()
        starts = self.starts()
        self.order: list[Node] = []
        self.spread(starts, through_walls=False)
        self.around_walls = list(self.order)
        self.fill_yards()
        self.bounds: dict[Node, tuple[float, float]] = {}
        if len(cars):
            without = Search(preset, scene, transmitter)
            lifted = self.lifted(without)
            for node, label in without.labels.items():
                self.bounds[node] = label.loss, lifted.get(node, math.inf)

    def pathloss_db(self) -> FloatArray:
        """The map, NaN inside buildings."""
        found = np.full((self.n, self.n), np.inf)
        for node, label in self.labels.items():
            least, most = self.bounds.get(node, (-math.inf, math.inf))
            found[node] = min(max(label.loss, least), most)
        return np.where(self.mask, np.nan, found)

    def place(self, node: Node) -> Point:
        """Where a node or the source is."""
        if node == SOURCE:
            return self.source
        row, col = node
        return Point(float(col), float(row), float(self.z[node]), str(self.kind[node]))

    def around(self, node: Node) -> list[Node]:
        """The up to eight neighbours."""
        steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        nodes = [(node[0] + i, node[1] + j) for i, j in steps]
        return [q for q in nodes if min(q) >= 0 and max(q) < self.n]

    def starts(self) -> list[Node]:
        """Label the pixels around the transmitter that it sees, else only its own."""
        row, col = math.floor(self.source.v), math.floor(self.source.u)
        near = [(i, j) for i in range(row - 1, row + 3) for j in range(col - 1, col + 3)]
        near = [q for q in near if min(q) >= 0 and max(q) < self.n]

        def seen(q: Node) -> bool:
            line = self.source, self.place(q)
            return not self.walls.stop(*line) and not self.vehicles.stop(*line)

        def own(q: Node) -> bool:
            return max(abs(q[1] - self.source.u), abs(q[0] - self.source.v)) <= 0.5

        lit = [q for q in near if seen(q)] or [q for q in near if own(q)]
        for q in lit:
            self.labels[q] = self.direct(q)
        return lit

    def spread(self, starts: list[Node], *, through_walls: bool) -> None:
        """Make nodes final in the order of their loss; each hands its label to its neighbours."""
        queue = [(self.labels[q].loss, q) for q in starts]
        heapq.heapify(queue)
        while queue:
            loss, giver = heapq.heappop(queue)
            if giver in self.final or loss > self.labels[giver].loss:
                continue
            self.final.add(giver)
            self.order.append(giver)
            last = self.labels[giver].parent
            before = self.labels[last].parent if last != SOURCE else None
            for q in self.around(giver):
                if q in self.final:
                    continue
                for bend in (before, last, giver):
                    if bend is None or not self.may_go(giver, bend, last, q):
                        continue
                    vehicles_db = self.leg_db(giver, bend, q, through_walls=through_walls)
                    if vehicles_db is None:
                        continue
                    label = (
                        self.direct(q, vehicles_db)
                        if bend == SOURCE
                        else self.bent(bend, q, vehicles_db)
                    )
                    if q not in self.labels or label.loss < self.labels[q].loss:
                        self.labels[q] = label
                        heapq.heappush(queue, (label.loss, q))

    def fill_yards(self) -> None:
        """Nodes that no path reached: bend through walls."""
        nodes = [(i, j) for i in range(self.n) for j in range(self.n)]
        left = [q for q in nodes if q not in self.final]
        starts = {f for q in left for f in (q, *self.around(q)) if f in self.labels}
        self.final -= starts
        self.spread(sorted(starts), through_walls=True)

    def may_go(self, giver: Node, bend: Node, last: Node, q: Node) -> bool:
        """Rules that ask for no sight line."""
        at = self.place(q)
        if bend == giver:
            pays = q not in self.labels or (
                self.labels[giver].loss + self.preset.bend_offset_db < self.labels[q].loss
            )
            climbs = at.kind == ROOF and at.z > self.place(giver).z
            return pays and not climbs and self.labels[giver].length > 0.0
        # level line of sight comes from a neighbour that has it
        level = at.kind != ROOF and self.source.z <= at.z
        return not (bend == SOURCE and last != SOURCE and level)

    def leg_db(self, giver: Node, bend: Node, q: Node, *, through_walls: bool) -> float | None:
        """What a last leg costs for the vehicles under it; None if a wall stops it."""
        start, at = self.place(bend), self.place(q)
        if bend == giver and (through_walls or ROOF in (start.kind, at.kind)):
            return 0.0
        if self.walls.stop(start, at):
            return None
        return self.over_db(start, at) if self.vehicles.stop(start, at) else 0.0

    def over_db(self, start: Point, at: Point) -> float:
        """One bend of a straight leg that is lifted over all vehicles on it, the cheapest."""
        angles = []
        for car in self.cars:
            shares = car.shares(start, at)
            if not shares or min(shares) > 1.0 or max(shares) < 0.0:
                continue
            first, last = max(min(shares), 0.0), min(max(shares), 1.0)
            if min(_along(start, at, t).z for t in (first, last)) > self.top:
                continue
            middle = _along(start, at, min(max(0.5, first), last))
            level = math.hypot(middle.u - start.u, middle.v - start.v)
            beyond = math.hypot(at.u - middle.u, at.v - middle.v)
            up, down = self.apex - start.z, self.apex - at.z
            angles.append(math.atan2(up, level) + math.atan2(down, beyond))
        return self.bend_db(max(min(angles, default=0.0), 0.0))

    def lifted(self, without: Search) -> dict[Node, float]:
        """Loss of the paths without vehicles, lifted over them; not of closed yards."""
        over: dict[Node, float] = {}
        found = {}
        for node in without.around_walls:
            label = without.labels[node]
            start, at = self.place(label.parent), self.place(node)
            cut = self.vehicles.stop(start, at)
            here = self.over_db(start, at) if cut else 0.0
            over[node] = here + over.get(label.parent, 0.0)
            found[node] = label.loss + over[node]
            if cut and label.parent == SOURCE:
                found[node] += self.distance_db(label.length, los=False)
                found[node] -= self.distance_db(label.length, los=True)
        return found

    # -- what paths cost ----------------------------------------------------------------------

    def direct(self, q: Node, vehicles_db: float = 0.0) -> Label:
        """The straight path from the transmitter."""
        at = self.place(q)
        pixels = distance(self.source, at)
        du, dv = abs(at.u - self.source.u), abs(at.v - self.source.v)
        on_centre = self.source.u.is_integer() and self.source.v.is_integer()
        if self.preset.near_field == "grid" and on_centre and (du, dv) != (0.0, 0.0):
            if du == 0.0 or dv == 0.0:
                pixels = math.sqrt(pixels * pixels + 1.0)
            elif du == dv:
                pixels = math.sqrt(pixels * pixels + 2.0)
        length = pixels * self.resolution_m
        extra = self.roof_db(SOURCE, q) - self.gain_db(at) + vehicles_db
        loss = self.distance_db(length, los=vehicles_db == 0.0) + extra
        return Label(loss, length, extra, SOURCE)

    def bent(self, bend: Node, q: Node, vehicles_db: float) -> Label:
        """The path that bends last at `bend`."""
        known, start, at = self.labels[bend], self.place(bend), self.place(q)
        bend_db = self.bend_db(turn_rad(self.place(known.parent), start, at))
        length = known.length + distance(start, at) * self.resolution_m
        extra = known.extra + bend_db + self.roof_db(bend, q) + vehicles_db
        return Label(self.distance_db(length, los=False) + extra, length, extra, bend)

    def bend_db(self, angle_rad: float) -> float:
        """Loss of one bend."""
        full = math.radians(self.preset.bend_break_deg)
        least, most = self.preset.bend_offset_db, self.preset.bend_max_db
        return least + (most - least) * (min(angle_rad, full) / full)

    def distance_db(self, length_m: float, *, los: bool) -> float:
        """Loss over a length."""
        c = self.preset
        before, after = (c.p_los, c.p_los_after) if los else (c.p_olos, c.p_olos_after)
        length = max(length_m, c.min_distance_m)
        near, far = min(length, self.breakpoint_m), max(length / self.breakpoint_m, 1.0)
        slope = before if after is None else after
        return c.loss_1m_db + 10 * before * math.log10(near) + 10 * slope * math.log10(far)

    def roof_db(self, bend: Node, q: Node) -> float:
        """Loss of a leg for its way over buildings, if one of its ends is on one."""
        start, at = self.place(bend), self.place(q)
        if self.preset.roof_db_per_m == 0.0 or ROOF not in (start.kind, at.kind):
            return 0.0
        du, dv = at.u - start.u, at.v - start.v
        steps = math.ceil(math.sqrt(du * du + dv * dv) / ROOF_STEP_PX)
        shares = [(i + 0.5) / steps for i in range(steps)]
        at_step = [
            (math.floor(start.v + t * dv + 0.5), math.floor(start.u + t * du + 0.5)) for t in shares
        ]
        hits = sum(min(k) >= 0 and max(k) < self.n and self.kind[k] == ROOF for k in at_step)
        return self.preset.roof_db_per_m * hits * ROOF_STEP_PX * self.resolution_m

    def gain_db(self, at: Point) -> float:
        """Gain of the antenna towards a point, interpolated between whole degrees."""
        if self.antenna is None:
            return 0.0
        east, north = at.u - self.source.u, self.source.v - at.v
        azimuth = math.degrees(math.atan2(east, north)) % 360.0
        elevation = math.degrees(math.atan2(at.z - self.source.z, math.hypot(east, north))) + 90.0
        i, j = min(int(azimuth), 359), min(int(elevation), 179)
        s, t = azimuth - i, elevation - j
        corners = self.antenna.table[np.ix_([i, (i + 1) % 360], [j, j + 1])]
        return float(np.array([1 - s, s]) @ corners @ np.array([1 - t, t]))
