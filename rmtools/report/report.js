
// --- the report: scenes that are embedded in the page ---------------------------------------

const radios = () => [...document.querySelectorAll("#shelf input")];

/** Wait until the page has been read to its end. */
const ready = new Promise((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve);
  else resolve();
});

/** What is embedded of a scene; only the first one stands before this script. */
async function packOf(scene) {
  if (!part(`scene-${scene}`)) await ready;
  return JSON.parse(part(`scene-${scene}`).textContent);
}

const embedded = {
  async scene(scene) {
    const pack = await packOf(scene);
    return { ...pack, name: data.names[scene], layers: await unpack(bytes(pack.layers)) };
  },
  async stack(scene, _, place) {
    return unpack(bytes((await packOf(scene)).stacks[place]));
  },
};

// --- choosing a scene -----------------------------------------------------------------------

/** Show a scene and mark it on the shelf and on the map. */
function choose(scene) {
  const radio = radios().find((each) => each.value === scene);
  if (!radio) {
    part("found").textContent = "This scene is not embedded in the page.";
    return false;
  }
  radio.checked = true;
  for (const tile of document.querySelectorAll(".tile")) {
    tile.setAttribute("aria-selected", String(tile.dataset.scene === scene));
  }
  viewer.show(scene);
  return true;
}

/** Hide what does not fit the words and the set that are looked for. */
function find() {
  const words = part("find").value.toLowerCase().trim();
  const set = part("set") ? part("set").value : "";
  let count = 0;
  for (const thumb of document.querySelectorAll(".thumb")) {
    const fits = thumb.textContent.toLowerCase().includes(words);
    thumb.hidden = !fits || (set !== "" && thumb.dataset.set !== set);
    count += Number(!thumb.hidden);
  }
  part("found").textContent = `${count} ${count === 1 ? "scene" : "scenes"} found`;
}

const viewer = part("viewer") ? new Viewer(embedded) : null;
if (viewer) {
  part("shelf").addEventListener("change", (event) => choose(event.target.value));
  part("find").addEventListener("input", find);
  if (part("set")) part("set").addEventListener("change", find);
  choose(radios()[0].value);
}
document.querySelectorAll(".ground").forEach((ground) => {
  startGround(ground, (scene) => {
    if (choose(scene)) part("viewer").scrollIntoView();
  });
});
