"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const side = data.pixels;

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const gainColours = bytes(data.gainColours);
const changeColours = bytes(data.changeColours);

// --- grey levels and what they mean ---------------------------------------------------------

/** Grey levels of a lossless picture; several frames stand below each other. */
async function decode(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const levels = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < levels.length; i += 1) levels[i] = rgba[4 * i];
  return levels;
}

const decoded = new Map();

/** Like `decode`, every picture only once. */
function levelsOf(source) {
  if (!decoded.has(source)) decoded.set(source, decode(source));
  return decoded.get(source);
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
    for (let i = 0; i < levels.length; i += 1) {
      let table = gainColours;
      let index = levels[i];
      if (first) {
        const change = (first[i] - levels[i]) * data.scale.step;
        const unit = Math.max(-1, Math.min(1, change / data.changeRange));
        table = changeColours;
        index = Math.round(127.5 + 127.5 * unit);
      }
      const building = layers[i] === data.buildingLayer;
      for (let c = 0; c < 3; c += 1) {
        image.data[4 * i + c] = building ? data.buildingColour[c] : table[3 * index + c];
      }
      image.data[4 * i + 3] = 255;
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

// --- scene cards ----------------------------------------------------------------------------

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function startCard(card) {
  const scene = data.scenes[card.dataset.scene];
  const canvas = card.querySelector("canvas");
  if (!canvas) return;
  const view = new MapView(canvas, card.querySelector("output"));
  const choice = card.querySelector("select");
  const update = async () => {
    const map = scene.maps[Number(choice.value)];
    const [levels, layers] = await Promise.all([levelsOf(map.source), levelsOf(scene.layers)]);
    if (map === scene.maps[Number(choice.value)]) view.show({ levels, layers, at: map.at });
  };
  choice.addEventListener("change", update);
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    view.step(step[0] * far, step[1] * far);
  });
  update();
}

// --- the player -----------------------------------------------------------------------------

function startPlayer() {
  const part = (id) => document.getElementById(id);
  const [choice, slider, speed, button] = ["sequence", "frame", "speed", "play"].map(part);
  const [difference, vehicles, clock] = ["difference", "vehicles", "clock"].map(part);
  const view = new MapView(part("screen"), part("screen-probe"));
  let current = null; // { sequence, frames: levels of each frame, layers }
  let timer = null;

  const frame = () => Number(slider.value);

  function render() {
    if (!current) return;
    const { sequence, frames, layers } = current;
    const now = frame();
    const seconds = (now * data.frameSeconds).toFixed(1);
    clock.textContent = `frame ${now} of ${frames.length - 1} · ${seconds} s`;
    slider.setAttribute("aria-valuetext", `frame ${now}, ${seconds} seconds`);
    part("loss-legend").hidden = difference.checked;
    part("change-legend").hidden = !difference.checked;
    view.show({
      levels: frames[now],
      first: difference.checked ? frames[0] : null,
      layers,
      at: sequence.at,
      vehicles: vehicles.checked ? sequence.vehicles[now] : [],
    });
  }

  function go(to) {
    const count = current ? current.frames.length : 1;
    slider.value = String((to + count) % count);
    render();
  }

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => go(frame() + 1), (1000 * data.frameSeconds) / Number(speed.value)) : null;
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(on));
    // Read the clock aloud only when it stands still.
    clock.setAttribute("aria-live", on ? "off" : "polite");
  }

  async function load() {
    const sequence = data.sequences[Number(choice.value)];
    const [strip, layers] = await Promise.all([
      levelsOf(sequence.source),
      levelsOf(data.scenes[sequence.scene].layers),
    ]);
    if (sequence !== data.sequences[Number(choice.value)]) return;
    const frames = [];
    for (let f = 0; f < sequence.frames; f += 1) {
      frames.push(strip.subarray(f * side * side, (f + 1) * side * side));
    }
    current = { sequence, frames, layers };
    slider.max = String(frames.length - 1);
    go(Math.min(frame(), frames.length - 1));
  }

  choice.addEventListener("change", load);
  slider.addEventListener("input", render);
  difference.addEventListener("change", render);
  vehicles.addEventListener("change", render);
  speed.addEventListener("change", () => play(timer !== null));
  button.addEventListener("click", () => play(timer === null));
  part("theatre").addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (target === choice || target === speed) return; // lists use these keys themselves
    const ownSpace = target === button || target.type === "checkbox";
    if (key === " " && !ownSpace) play(timer === null);
    else if (key === "ArrowRight") go(frame() + 1);
    else if (key === "ArrowLeft") go(frame() - 1);
    else if (key === "Home") go(0);
    else if (key === "End") go(-1);
    else return;
    event.preventDefault();
  });
  play(false);
  load();
}

document.querySelectorAll(".card").forEach(startCard);
if (data.sequences.length) startPlayer();
