"use strict";

const part = (id) => document.getElementById(id);

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// --- maps of the scenes ---------------------------------------------------------------------

/** The tile next to one in a direction, straight ahead rather than to the side. */
function neighbour(tiles, from, [rows, cols]) {
  const at = (tile) => [Number(tile.getAttribute("y")), Number(tile.getAttribute("x"))];
  const [y, x] = at(from);
  let best = from;
  let least = Infinity;
  for (const tile of tiles) {
    const [dy, dx] = [at(tile)[0] - y, at(tile)[1] - x];
    const ahead = dy * rows + dx * cols;
    const aside = Math.abs(dy * cols) + Math.abs(dx * rows);
    const cost = ahead + 2 * aside;
    if (ahead > 0.5 && aside <= 2 * ahead && cost < least) [best, least] = [tile, cost];
  }
  return best;
}

/** A map of scenes: one stop of the tab key, the arrows go from scene to scene. */
function startGround(ground, choose) {
  const tiles = [...ground.querySelectorAll(".tile")];
  let active = tiles[0];
  const move = (tile) => {
    active.classList.remove("active");
    active = tile;
    active.classList.add("active");
    ground.setAttribute("aria-activedescendant", active.id);
  };
  const open = (tile) => {
    move(tile);
    choose(tile.dataset.scene);
  };
  ground.addEventListener("focus", () => move(active));
  ground.addEventListener("blur", () => active.classList.remove("active"));
  ground.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) open(tile);
  });
  ground.addEventListener("keydown", (event) => {
    const { key } = event;
    if (STEPS[key]) move(neighbour(tiles, active, STEPS[key]));
    else if (key === "Home") move(tiles[0]);
    else if (key === "End") move(tiles[tiles.length - 1]);
    else if (key === "Enter" || key === " ") open(active);
    else return;
    event.preventDefault();
  });
}
