
const data = JSON.parse(part("data").textContent);
const side = data.pixels;
const plane = side * side;

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const gainColours = bytes(data.gainColours);
const changeColours = bytes(data.changeColours);

// --- grey levels and what they mean ---------------------------------------------------------

/** Grey levels of all frames of a sequence; see rmtools/report/viewer.py for how they travel. */
async function unpack(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const levels = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let i = side; i < plane; i += 1) levels[i] += levels[i - side];
  for (let i = plane; i < levels.length; i += 1) levels[i] += levels[i - plane];
  return levels;
}

/** Path loss in dB in the middle of a grey level. */
function lossOf(level) {
  const { minGain, step, middle } = data.scale;
  return -(minGain + (level + (level < 255 ? middle : 0)) * step);
}

function lossText(level) {
  const { minGain, step, middle } = data.scale;
  if (level === 0) {
    const bound = -(minGain + (middle ? 1 : 0.5) * step);
    return `not computed or above ${bound.toFixed(1)} dB`;
  }
  if (level === 255) return `${lossOf(255).toFixed(1)} dB or less`;
  return `${lossOf(level).toFixed(1)} dB`;
}

// --- a map on a canvas ----------------------------------------------------------------------

/** Colours, three bytes each, as the four bytes of a pixel. */
function inks(colours) {
  const table = new Uint8ClampedArray((colours.length / 3) * 4).fill(255);
  for (let i = 0; i < colours.length; i += 1) table[4 * Math.floor(i / 3) + (i % 3)] = colours[i];
  return new Uint32Array(table.buffer);
}

const gainInks = inks(gainColours);
const changeInks = inks(changeColours);
const [buildingInk] = inks(data.buildingColour);
const planInks = inks(data.planColours.flat());

class MapView {
  constructor(canvas, probe) {
    this.canvas = canvas;
    this.probe = probe;
    this.content = null;
    this.cursor = null;
    canvas.width = canvas.height = side * Math.max(1, Math.round(640 / side));
    this.raster = document.createElement("canvas");
    this.raster.width = this.raster.height = side;
    const point = (event) => this.point(event);
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerdown", point);
    canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.read(null);
    });
  }

  /**
   * Content: levels and layers (side * side), at ([x, y] of the transmitter or null), and
   * optionally vehicles ([x, y, heading] each) and first (levels to show the difference to).
   */
  show(content) {
    this.content = content;
    this.draw();
    this.describe();
  }

  draw() {
    const { levels, layers, first, vehicles, at } = this.content;
    const context = this.raster.getContext("2d");
    const image = context.createImageData(side, side);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < plane; i += 1) {
      if (layers[i] === data.buildingLayer) pixels[i] = buildingInk;
      else if (!first) pixels[i] = gainInks[levels[i]];
      else {
        const unit = ((first[i] - levels[i]) * data.scale.step) / data.changeRange;
        pixels[i] = changeInks[Math.round(127.5 + 127.5 * Math.max(-1, Math.min(1, unit)))];
      }
    }
    context.putImageData(image, 0, 0);

    const screen = this.canvas.getContext("2d");
    screen.imageSmoothingEnabled = false;
    screen.drawImage(this.raster, 0, 0, this.canvas.width, this.canvas.height);
    for (const vehicle of vehicles || []) this.drawVehicle(screen, vehicle, Boolean(first));
    if (at) this.drawTransmitter(screen, at);
    if (this.cursor) this.drawCursor(screen);
  }

  /** Canvas pixels per metre. */
  get zoom() {
    return this.canvas.width / (data.n * data.resolution);
  }

  /** Canvas position of local metres (x east, y north). */
  place(x, y) {
    return [x * this.zoom, this.canvas.height - y * this.zoom];
  }

  drawVehicle(screen, [x, y, heading], dark) {
    const [length, width] = data.vehicle.map((metres) => metres * this.zoom);
    screen.save();
    screen.translate(...this.place(x, y));
    screen.rotate((-heading * Math.PI) / 180);
    screen.fillStyle = dark ? "rgba(32, 34, 38, 0.35)" : "rgba(255, 255, 255, 0.35)";
    screen.strokeStyle = dark ? "#202226" : "#ffffff";
    screen.lineWidth = 1.5;
    screen.fillRect(-length / 2, -width / 2, length, width);
    screen.strokeRect(-length / 2, -width / 2, length, width);
    screen.restore();
  }

  drawTransmitter(screen, at) {
    const unit = this.canvas.width / 256;
    for (const [radius, colour] of [[3, "#ffffff"], [2.3, "#202226"], [1.5, "#ffffff"]]) {
      screen.beginPath();
      screen.arc(...this.place(...at), radius * unit, 0, 2 * Math.PI);
      screen.fillStyle = colour;
      screen.fill();
    }
  }

  drawCursor(screen) {
    const pixel = this.canvas.width / side;
    const [row, col] = this.cursor;
    for (const [grow, colour] of [[3, "#202226"], [1.5, "#ffffff"]]) {
      screen.strokeStyle = colour;
      screen.lineWidth = 1.5;
      const reach = pixel + 2 * grow;
      screen.strokeRect(col * pixel - grow, row * pixel - grow, reach, reach);
    }
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const cell = (offset, extent) => Math.floor((offset / extent) * side);
    const row = cell(event.clientY - box.top, box.height);
    const col = cell(event.clientX - box.left, box.width);
    const inside = row >= 0 && col >= 0 && row < side && col < side;
    this.read(inside ? [row, col] : null);
  }

  /** Move the probe by keyboard. */
  step(rows, cols) {
    const keep = (value) => Math.max(0, Math.min(side - 1, value));
    const [row, col] = this.cursor || [side >> 1, side >> 1];
    this.read([keep(row + rows), keep(col + cols)]);
  }

  read(cursor) {
    this.cursor = cursor;
    if (!this.content) return;
    this.draw();
    this.describe();
  }

  describe() {
    if (!this.cursor) {
      this.probe.textContent = "\u00a0";
      return;
    }
    const { levels, layers, first } = this.content;
    const index = this.cursor[0] * side + this.cursor[1];
    const [row, col] = this.cursor.map((cell) => cell * data.stride);
    const x = (col + 0.5) * data.resolution;
    const y = (data.n - row - 0.5) * data.resolution;
    let text = layers[index] === data.buildingLayer ? "building" : lossText(levels[index]);
    if (first && layers[index] !== data.buildingLayer) {
      const change = (first[index] - levels[index]) * data.scale.step;
      text += ` (${change > 0 ? "+" : ""}${change.toFixed(1)} dB since frame 0)`;
    }
    this.probe.textContent =
      `row ${row}, col ${col} · x ${x.toFixed(1)} m, y ${y.toFixed(1)} m · ${text}`;
  }
}

// --- the plan -------------------------------------------------------------------------------

class PlanView extends MapView {
  /** Content: layers, at (of all transmitters), chosen (index of one of them), vehicles. */
  draw() {
    const { layers, at, chosen, vehicles } = this.content;
    const context = this.raster.getContext("2d");
    const image = context.createImageData(side, side);
    new Uint32Array(image.data.buffer).set(Uint32Array.from(layers, (layer) => planInks[layer]));
    context.putImageData(image, 0, 0);
    const screen = this.canvas.getContext("2d");
    screen.imageSmoothingEnabled = false;
    screen.drawImage(this.raster, 0, 0, this.canvas.width, this.canvas.height);
    for (const vehicle of vehicles) this.drawVehicle(screen, vehicle, true);
    const unit = this.canvas.width / 256;
    screen.font = `${8 * unit}px sans-serif`;
    screen.textBaseline = "middle";
    at.forEach((place, index) => {
      if (!place) return;
      const [x, y] = this.place(...place);
      screen.beginPath();
      screen.arc(x, y, (index === chosen ? 4 : 2.5) * unit, 0, 2 * Math.PI);
      screen.fillStyle = index === chosen ? "#d63031" : "#ffffff";
      screen.strokeStyle = "#d63031";
      screen.lineWidth = 1.2 * unit;
      screen.fill();
      screen.stroke();
      if (index !== chosen && at.length > 12) return; // more labels than one can tell apart
      const left = x > this.canvas.width * 0.9;
      screen.textAlign = left ? "right" : "left";
      screen.lineWidth = 2.5 * unit;
      screen.strokeStyle = "#ffffff";
      screen.fillStyle = "#a01515";
      const label = [String(index), x + (left ? -6 : 6) * unit, y];
      screen.strokeText(...label);
      screen.fillText(...label);
    });
  }

  describe() {}

  read() {}
}

// --- the viewer -----------------------------------------------------------------------------

/**
 * Sliders, switches and canvases. `source.scene(scene, traj)` promises { name, layers, at, tx,
 * vehicles } and `source.stack(scene, traj, place)` the levels of the transmitter at a place of
 * the list tx.
 */
class Viewer {
  constructor(source) {
    this.source = source;
    this.screen = new MapView(part("screen"), part("probe"));
    this.plan = new PlanView(part("plan"), null);
    this.index = null; // of the scene that is shown or on its way
    this.current = null; // { scene, levels, frames, wanted }
    this.timer = null;
    for (const id of ["traj", "tx"]) part(id).addEventListener("input", () => this.load());
    for (const id of ["frame", "difference", "vehicles"]) {
      part(id).addEventListener("input", () => this.render());
    }
    part("speed").addEventListener("change", () => this.play(this.timer !== null));
    part("play").addEventListener("click", () => this.play(this.timer === null));
    part("screen").addEventListener("keydown", (event) => this.key(event));
  }

  show(index) {
    this.index = index;
    return this.load();
  }

  /** Get what the sliders ask for, and show it unless something else was asked for meanwhile. */
  async load() {
    const [index, traj] = [this.index, Number(part("traj").value)];
    const wanted = `${index} ${traj} ${part("tx").value}`;
    this.wanted = wanted;
    const scene = await this.source.scene(index, traj);
    const last = Math.max(scene.tx.length - 1, 0);
    const place = Math.min(Number(part("tx").value), last);
    const levels = scene.tx.length ? await this.source.stack(index, traj, place) : null;
    if (this.wanted !== wanted) return;
    part("tx").max = String(last);
    const frames = levels ? levels.length / plane : 1;
    part("frame").max = String(frames - 1);
    this.current = { scene, levels, frames, place };
    this.render();
  }

  get frame() {
    return Number(part("frame").value);
  }

  render() {
    if (!this.current) return;
    const { scene, levels, frames, place } = this.current;
    const now = Math.min(this.frame, frames - 1);
    const seconds = (now * data.frameSeconds).toFixed(1);
    part("scene-name").textContent = scene.name;
    const clock = levels ? `frame ${now} of ${frames - 1} · ${seconds} s` : "no map";
    part("clock").textContent = clock;
    part("frame").setAttribute("aria-valuetext", clock);
    const number = levels ? scene.tx[place] : null;
    part("tx-value").textContent = levels ? number : "";
    part("tx").setAttribute("aria-valuetext", `transmitter ${number}`);
    part("frame-value").textContent = now;
    part("traj-value").textContent = part("traj").value;
    const difference = part("difference").checked;
    part("loss-legend").hidden = difference;
    part("change-legend").hidden = !difference;
    part("screen").hidden = !levels;
    const vehicles = part("vehicles").checked ? scene.vehicles[now] || [] : [];
    if (levels) {
      this.screen.show({
        levels: levels.subarray(now * plane, (now + 1) * plane),
        first: difference ? levels.subarray(0, plane) : null,
        layers: scene.layers,
        at: scene.at[number],
        vehicles,
      });
    }
    this.plan.show({ layers: scene.layers, at: scene.at, chosen: number, vehicles });
  }

  go(to) {
    const count = this.current ? this.current.frames : 1;
    part("frame").value = String((to + count) % count);
    this.render();
  }

  play(on) {
    clearInterval(this.timer);
    const pause = (1000 * data.frameSeconds) / Number(part("speed").value);
    this.timer = on ? setInterval(() => this.go(this.frame + 1), pause) : null;
    part("play").textContent = on ? "Pause" : "Play";
    part("play").setAttribute("aria-pressed", String(on));
    // Read the clock aloud only when it stands still.
    part("clock").setAttribute("aria-live", on ? "off" : "polite");
  }

  /** Keys on the map. */
  key(event) {
    const step = STEPS[event.key];
    if (event.key === " ") this.play(this.timer === null);
    else if (!step || !this.current) return;
    else this.screen.step(...step.map((cells) => cells * (event.shiftKey ? 10 : 1)));
    event.preventDefault();
  }
}
