// A map of dots to look at, listen to and draw round. What is chosen goes to Python: a dot by number, an area as a polygon.

const PLAYER = "__voxscopePlayer";
const FETCHED = "__voxscopeFetched";
const MAX_FETCHED = 8;
const SOUND_AHEAD_MS = 120;
const PLAYER_WAIT_MS = 4000;
const REACH_PX = 9;
const CLICK_SLACK_PX = 4;
const LASSO_STEP_PX = 3;
const MAX_CORNERS = 400;
const PAN_STEP_PX = 60;
const ZOOM_STEP = 1.6;
const MAX_ZOOM = 400;
const FITS = 0.94;
const HALF = 32767.5;
const SVG = "http://www.w3.org/2000/svg";
const MODES = {
  pan: "Move: drag to pan, Shift-drag for a box",
  box: "Box: drag over dots to choose them",
  lasso: "Lasso: draw round dots to choose them",
};
const ICONS = {
  pan: "M12 2l3 3h-2v6h6V9l3 3-3 3v-2h-6v6h2l-3 3-3-3h2v-6H5v2l-3-3 3-3v2h6V5H9z",
  box: "M4 4h4v2H6v2H4zm6 0h4v2h-4zm6 0h4v4h-2V6h-2zM4 10h2v4H4zm14 0h2v4h-2zM4 16h2v2h2v2H4zm14 0h2v4h-4v-2h2zm-8 2h4v2h-4z",
  lasso:
    "M12 4c5 0 9 2.5 9 6s-4 6-9 6c-.8 0-1.5-.1-2.2-.2A3 3 0 0 1 7 19c.1 1-.3 2-1 3l-1.5-1c.5-.8.6-1.4.5-2a3 3 0 0 1-.6-4.6C3.5 13.3 3 12 3 10c0-3.5 4-6 9-6zm0 2c-4 0-7 1.8-7 4 0 1.2.6 2.2 1.5 3 .2 0 .3 0 .5 0a3 3 0 0 1 2.5 1.3c.8.4 1.6.5 2.5.5 4 0 7-1.8 7-4.3S16 6 12 6z",
  closer: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  farther: "M5 11h14v2H5z",
  whole: "M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z",
  clear: "M6.4 5L12 10.6 17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4L12 13.4 6.4 19 5 17.6 10.6 12 5 6.4z",
  picture: "M11 4h2v8l3-3 1.4 1.4L12 15.8l-5.4-5.4L8 9l3 3zM5 18h14v2H5z",
};

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

function drawing(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

function iconButton(name, label, act) {
  const button = node("button", `tool ${name}`);
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  const icon = drawing("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  icon.append(drawing("path", { d: ICONS[name] }));
  button.append(icon);
  button.onclick = act;
  return button;
}

// Binary files are named by their content: one that was fetched is good for as long as the page is open.
function fetched(url) {
  const kept = (window[FETCHED] ||= new Map());
  if (!kept.has(url)) {
    const coming = fetch(url).then((response) => {
      if (!response.ok) throw new Error(`${response.status}`);
      return response.arrayBuffer();
    });
    coming.catch(() => kept.delete(url));
    kept.set(url, coming);
    if (kept.size > MAX_FETCHED) kept.delete(kept.keys().next().value);
  }
  return kept.get(url);
}

const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function rgb(colour) {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = colour;
  paint.fillRect(0, 0, 1, 1);
  return Array.from(paint.getImageData(0, 0, 1, 1).data.slice(0, 3));
}

const mixed = (one, other, share) =>
  one.map((value, place) => Math.round(value + (other[place] - value) * share));
const css = ([red, green, blue], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha})`;

function themeOf(host) {
  const style = getComputedStyle(host);
  const read = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const list = (name) =>
    read(name)
      .split(/,(?![^(]*\))/)
      .map((colour) => rgb(colour.trim()));
  return {
    text: rgb(read("text-color")),
    ground: rgb(read("background-color")),
    primary: rgb(read("primary-color")),
    categories: list("chart-categorical-colors"),
    sequence: list("chart-sequential-colors"),
  };
}

function along(sequence, share) {
  const place = Math.min(0.9999, Math.max(0, share)) * (sequence.length - 1);
  return mixed(sequence[Math.floor(place)], sequence[Math.floor(place) + 1], place % 1);
}

// The colour of a group, or of one code of a graded group.
function colourOf(group, rank, theme, code) {
  const grey = mixed(theme.ground, theme.text, 0.42);
  if (group.role === "scale") return [...along(theme.sequence.slice(3), code / 255), 0.95];
  if (group.role === "unknown") return [...mixed(theme.ground, theme.text, 0.3), 0.45];
  if (group.role === "rest") return [...grey, 0.6];
  const { categories } = theme;
  if (rank < categories.length) return [...categories[rank], 0.88];
  if (rank < 2 * categories.length)
    return [...mixed(categories[rank - categories.length], theme.text, 0.45), 0.88];
  return [...grey, 0.75];
}

function paletteOf(groups, only, theme) {
  const hidden = [...mixed(theme.ground, theme.text, 0.32), 0.22];
  const colours = Array.from({ length: 256 }, () => hidden);
  const layers = Array.from({ length: 256 }, () => NO_LAYER);
  let rank = -1;
  groups.forEach((group) => {
    if (group.role === "value") rank += 1;
    const isAlone = only.has(group.key);
    for (let code = group.low; code <= group.high; code += 1) {
      layers[code] = 0;
      if (only.size && !isAlone) continue;
      const colour = colourOf(group, rank, theme, code);
      const isGrey =
        group.role !== "scale" && (group.role !== "value" || rank >= 2 * theme.categories.length);
      colours[code] = isAlone && isGrey ? [...theme.primary, 0.9] : colour;
      layers[code] = isAlone || (group.role !== "unknown" && group.role !== "rest") ? 1 : 0;
    }
  });
  return { colours, layers };
}

class PointFigure {
  constructor(host) {
    this.host = host;
    this.centre = [0, 0];
    this.zoom = 1;
    this.only = new Set();
    this.area = [];
    this.pointers = new Map();
    this.build();
    this.dots = new Dots(this.canvas, () => this.settled());
    if (!this.dots.isUsable)
      this.say(
        "This map needs WebGL 2, which this browser lacks or has switched off. All clips can be found and heard on the Clips page.",
      );
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.say("The graphics driver dropped the picture; it comes back by itself.");
    });
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.dots.prepare();
      this.shownPlaces = this.shownCodes = this.look = null;
      this.refresh();
    });
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.stage);
  }

  build() {
    this.stage = node("div", "stage");
    this.stage.tabIndex = 0;
    this.canvas = node("canvas", "dots");
    this.over = drawing("svg", { class: "over", "aria-hidden": "true" });
    this.areaShape = drawing("path", { class: "area" });
    this.ring = drawing("circle", { class: "ring", r: 8 });
    this.hoverRing = drawing("circle", { class: "ring hovered", r: 7 });
    this.cross = drawing("path", { class: "cross" });
    this.over.append(this.areaShape, this.ring, this.hoverRing, this.cross);
    this.tip = node("div", "tip");
    this.message = node("div", "message", "Loading the map …");
    this.message.setAttribute("role", "status");
    this.tools = this.buildTools();
    this.legend = node("div", "legend");
    this.stage.append(this.canvas, this.over, this.tip, this.message);
    const figure = node("div", "figure");
    figure.append(this.stage, this.tools);
    this.host.replaceChildren(figure, this.legend);
    this.stage.placeOf = (point) => this.clientPlace(point);
    this.listen();
    this.setMode("pan");
  }

  buildTools() {
    const tools = node("div", "tools");
    tools.setAttribute("role", "toolbar");
    tools.setAttribute("aria-label", "Map tools");
    const modes = node("div", "modes");
    Object.entries(MODES).forEach(([mode, label]) =>
      modes.append(iconButton(mode, label, () => this.setMode(mode))),
    );
    const zooms = node("div", "modes");
    zooms.append(
      iconButton("closer", "Zoom in (+)", () => this.zoomAt(ZOOM_STEP)),
      iconButton("farther", "Zoom out (−)", () => this.zoomAt(1 / ZOOM_STEP)),
      iconButton("whole", "Show the whole map (double click, 0)", () => this.reset()),
    );
    const rest = node("div", "modes");
    this.clearButton = iconButton("clear", "Let go of the chosen area (Esc)", () => this.setArea([], true));
    rest.append(
      iconButton("picture", "Save as a picture (PNG)", () => this.save()),
      this.clearButton,
    );
    tools.append(modes, zooms, rest);
    return tools;
  }

  setMode(mode) {
    this.mode = mode;
    this.stage.dataset.mode = mode;
    Object.keys(MODES).forEach((name) => {
      this.tools.querySelector(`.${name}`).setAttribute("aria-pressed", String(name === mode));
    });
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  // Data from Python -------------------------------------------------------------------------------------------------

  update(component) {
    const before = this.data;
    this.component = component;
    this.data = component.data;
    if (!before || before.map !== this.data.map) this.reset();
    if (!before || before.only_token !== this.data.only_token) this.only = new Set(this.data.only);
    if (!before || before.area_token !== this.data.area_token) this.setArea(this.data.area, false);
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute(
      "aria-label",
      `${this.data.label}. Arrow keys move it, plus and minus zoom, Enter opens the dot in the middle.`,
    );
    this.drawLegend();
    this.playWanted();
    this.refresh();
  }

  async refresh() {
    const { data } = this;
    if (!this.dots.isUsable) return;
    try {
      const [places, codes, sizes] = await Promise.all(
        [data.places_url, data.codes_url, data.sizes_url].map((url) => (url ? fetched(url) : null)),
      );
      if (data !== this.data) return;
      if (this.shownPlaces !== data.places_url) {
        this.places = new Uint16Array(places);
        this.dots.setPlaces(this.places, sizes && new Uint8Array(sizes));
        this.cells = new Cells(this.places);
        this.shownPlaces = data.places_url;
        this.shownCodes = null;
      }
      if (this.shownNames !== data.names_url) {
        this.names = null;
        this.shownNames = data.names_url;
      }
      if (this.shownCodes !== data.codes_url) {
        this.codes = new Uint8Array(codes);
        this.dots.setCodes(this.codes);
        this.shownCodes = data.codes_url;
      }
      this.recolour();
      this.place();
      this.say("");
    } catch (error) {
      if (data === this.data)
        this.say(`The map could not be loaded (${error.message}). Reload the page to try again.`);
    }
  }

  recolour() {
    if (!this.codes) return;
    const theme = themeOf(this.host);
    const look = JSON.stringify([this.shownPlaces, this.shownCodes, this.data.groups, [...this.only], theme]);
    if (look === this.look) return;
    this.look = look;
    const palette = paletteOf(this.data.groups, this.only, theme);
    this.layers = palette.layers;
    this.dots.setPalette(palette.colours, palette.layers);
    this.redraw();
  }

  isShown(point) {
    return !this.only.size || this.layers[this.codes[point]] === 1;
  }

  groupOf(point) {
    const code = this.codes[point];
    return this.data.groups.find((group) => group.low <= code && code <= group.high);
  }

  // Sound --------------------------------------------------------------------------------------------------------------

  pick(point) {
    this.wanted = point;
    this.early = null;
    this.place();
    const isOpen = this.data.chosen && this.data.chosen.point === point;
    if (isOpen) this.playWanted();
    else this.hearThenTell(point);
  }

  hearThenTell(point) {
    // The sound first: what Python then draws takes the server's and the browser's time.
    let isTold = false;
    const tell = () => {
      if (!isTold && this.wanted === point) this.component.setTriggerValue("picked", point);
      isTold = true;
    };
    const player = window[PLAYER];
    if (!player || !this.data.sounds) {
      tell();
      return;
    }
    this.early = `${this.data.sounds}/${point}`;
    player.queue = [];
    ["loadeddata", "error"].forEach((name) => player.audio.addEventListener(name, tell, { once: true }));
    setTimeout(tell, SOUND_AHEAD_MS);
    player.startEarly(this.early);
  }

  playWanted(since = performance.now()) {
    const { chosen } = this.data;
    if (this.wanted === undefined || !chosen || chosen.point !== this.wanted || !chosen.url) return;
    const player = window[PLAYER];
    if (!player) {
      if (performance.now() - since < PLAYER_WAIT_MS) setTimeout(() => this.playWanted(since), 25);
      return;
    }
    this.wanted = undefined;
    if (this.early && player.url === this.early && player.failed !== this.early) {
      player.rename(chosen.url);
      return;
    }
    player.queue = [];
    player.start(chosen.url, 0);
  }

  // The view -----------------------------------------------------------------------------------------------------------

  get unitPx() {
    return (Math.min(this.width, this.height) / 2) * FITS * this.zoom;
  }

  toPx([x, y]) {
    return [
      this.width / 2 + (x - this.centre[0]) * this.unitPx,
      this.height / 2 - (y - this.centre[1]) * this.unitPx,
    ];
  }

  toMap([left, top]) {
    return [
      this.centre[0] + (left - this.width / 2) / this.unitPx,
      this.centre[1] - (top - this.height / 2) / this.unitPx,
    ];
  }

  pointPx(point) {
    return this.toPx([this.places[2 * point] / HALF - 1, this.places[2 * point + 1] / HALF - 1]);
  }

  clientPlace(point) {
    const box = this.stage.getBoundingClientRect();
    const [left, top] = this.pointPx(point);
    return { x: box.left + left, y: box.top + top };
  }

  fit() {
    this.width = this.stage.clientWidth;
    this.height = this.stage.clientHeight;
    this.dots.resize(this.width, this.height);
    this.redraw();
  }

  redraw() {
    if (!this.places || !this.codes || !this.width) return;
    const across = (2 * this.unitPx) / this.width;
    const up = (2 * this.unitPx) / this.height;
    const dot = this.dotPx();
    this.stage.dataset.state = "drawing";
    this.dots.draw({
      scale: [2 * across, 2 * up],
      offset: [-(1 + this.centre[0]) * across, -(1 + this.centre[1]) * up],
      dot,
    });
    this.place();
  }

  dotPx() {
    const closer = Math.min(this.zoom, 40) ** 0.3;
    if (this.data.sizes_url) return [3.5 * closer, 15 * closer];
    const usual = Math.min(8, Math.max(1.2, ((this.width * this.height) / this.places.length / 1.5) ** 0.4));
    return [Math.min(16, usual * closer), 0];
  }

  settled() {
    this.stage.dataset.points = String(this.places.length / 2);
    this.stage.dataset.atOnce = String(Math.min(this.places.length / 2, this.dots.piece));
    this.stage.dataset.state = "ready";
  }

  // What lies over the dots and moves with them.
  place() {
    if (!this.places || !this.width) return;
    const put = (ring, point) => {
      const isThere = point !== undefined && point !== null && point >= 0 && point < this.places.length / 2;
      ring.style.display = isThere ? "" : "none";
      if (!isThere) return;
      const [left, top] = this.pointPx(point);
      ring.setAttribute("cx", left);
      ring.setAttribute("cy", top);
    };
    put(this.ring, this.wanted ?? this.data.chosen?.point);
    put(this.hoverRing, this.hovered);
    const corners = this.drawnArea || this.area;
    this.areaShape.setAttribute(
      "d",
      corners.length > 1
        ? `M${corners
            .map((corner) =>
              this.toPx(corner)
                .map((value) => value.toFixed(1))
                .join(" "),
            )
            .join("L")}Z`
        : "",
    );
    this.clearButton.hidden = !this.area.length;
    const [middle, half] = [this.width / 2, this.height / 2];
    this.cross.setAttribute("d", `M${middle - 9} ${half}h18M${middle} ${half - 9}v18`);
  }

  zoomAt(factor, [left, top] = [this.width / 2, this.height / 2]) {
    const fixed = this.toMap([left, top]);
    this.zoom = Math.min(MAX_ZOOM, Math.max(0.5, this.zoom * factor));
    this.centre = [
      fixed[0] - (left - this.width / 2) / this.unitPx,
      fixed[1] + (top - this.height / 2) / this.unitPx,
    ];
    this.redraw();
  }

  pan(left, top) {
    this.centre = [this.centre[0] - left / this.unitPx, this.centre[1] + top / this.unitPx];
    this.centre = this.centre.map((value) => Math.min(1.5, Math.max(-1.5, value)));
    this.redraw();
  }

  reset() {
    this.centre = [0, 0];
    this.zoom = 1;
    this.redraw();
  }

  // Hands ----------------------------------------------------------------------------------------------------------------

  listen() {
    const { stage } = this;
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const lines = event.deltaMode === 1 ? 16 : 1;
        this.zoomAt(
          Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.0018),
          this.within(event),
        );
      },
      { passive: false },
    );
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    stage.addEventListener("pointerup", (event) => this.release(event));
    stage.addEventListener("pointercancel", (event) => this.drop(event));
    stage.addEventListener("pointerleave", () => this.hover(null));
    stage.addEventListener("dblclick", () => this.reset());
    stage.addEventListener("keydown", (event) => this.key(event));
  }

  within(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  press(event) {
    if (event.button !== 0 || !this.places) return;
    this.stage.setPointerCapture(event.pointerId);
    const at = this.within(event);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.stroke = null;
      this.drawnArea = null;
      return;
    }
    const mode = event.shiftKey && this.mode === "pan" ? "box" : this.mode;
    this.stroke = { mode, from: at, last: at, isClick: true, path: [this.toMap(at)] };
  }

  move(event) {
    const at = this.within(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(event);
      return;
    }
    if (this.pointers.size === 2) this.pinch(event.pointerId, before, at);
    this.pointers.set(event.pointerId, at);
    const { stroke } = this;
    if (!stroke) return;
    const far = Math.hypot(at[0] - stroke.from[0], at[1] - stroke.from[1]);
    if (stroke.isClick && far < CLICK_SLACK_PX) return;
    stroke.isClick = false;
    this.hover(null);
    if (stroke.mode === "pan") this.pan(at[0] - stroke.last[0], at[1] - stroke.last[1]);
    else this.draw(stroke, at);
    if (stroke.mode !== "lasso") stroke.last = at;
  }

  pinch(moved, before, at) {
    const other = [...this.pointers].find(([id]) => id !== moved)[1];
    const span = (one) => Math.max(8, Math.hypot(one[0] - other[0], one[1] - other[1]));
    this.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.zoomAt(span(at) / span(before), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
  }

  draw(stroke, at) {
    const [x, y] = this.toMap(at);
    if (stroke.mode === "box") {
      const [x0, y0] = stroke.path[0];
      this.drawnArea = [
        [x0, y0],
        [x, y0],
        [x, y],
        [x0, y],
      ];
    } else if (Math.hypot(at[0] - stroke.last[0], at[1] - stroke.last[1]) >= LASSO_STEP_PX) {
      stroke.path.push([x, y]);
      stroke.last = at;
      this.drawnArea = stroke.path;
    }
    this.place();
  }

  release(event) {
    const { stroke, drawnArea } = this;
    this.drop(event);
    if (!stroke) return;
    if (stroke.isClick) {
      const point = this.pointAt(this.within(event));
      if (point >= 0) this.pick(point);
    } else if (stroke.mode !== "pan" && drawnArea && drawnArea.length > 2) this.setArea(drawnArea, true);
  }

  drop(event) {
    this.pointers.delete(event.pointerId);
    this.stroke = null;
    this.drawnArea = null;
    this.place();
  }

  setArea(corners, isToldToPython) {
    const step = Math.max(1, Math.ceil(corners.length / MAX_CORNERS));
    this.area = corners
      .filter((_, place) => place % step === 0)
      .map((corner) => corner.map((value) => Number(value.toFixed(5))));
    this.place();
    if (isToldToPython) this.component.setTriggerValue("area", this.area);
  }

  pointAt(at) {
    if (!this.cells) return -1;
    const [x, y] = this.toMap(at).map((value) => (value + 1) * HALF);
    const reach = ((REACH_PX + this.dotPx()[0] / 2) / this.unitPx) * HALF;
    return this.cells.nearest(x, y, reach, (point) => this.isShown(point));
  }

  hover(event) {
    if (!event || this.pointers.size) {
      this.hovered = undefined;
      this.tip.classList.remove("shown");
      this.place();
      return;
    }
    const at = this.within(event);
    const point = this.pointAt(at);
    this.stage.classList.toggle("over-dot", point >= 0);
    if (point === this.hovered) return;
    this.hovered = point >= 0 ? point : undefined;
    this.place();
    this.showTip();
  }

  async showTip() {
    const point = this.hovered;
    if (point === undefined) {
      this.tip.classList.remove("shown");
      return;
    }
    const group = this.groupOf(point);
    let [name, about] = ["", ""];
    if (this.data.names_url) {
      try {
        this.names ||= new TextDecoder().decode(await fetched(this.data.names_url)).split("\n");
        [name, about] = this.names[point].split("\t");
      } catch {
        name = "";
      }
    }
    if (point !== this.hovered) return;
    const lines = [node("strong", "", name || group?.label), node("span", "", about)];
    if (name && group && !about.includes(group.label)) lines.push(node("span", "group", group.label));
    this.tip.replaceChildren(...lines.filter((line) => line.textContent));
    const [left, top] = this.pointPx(point);
    this.tip.classList.add("shown");
    const box = this.tip.getBoundingClientRect();
    this.tip.style.left = `${Math.max(4, Math.min(this.width - box.width - 4, left - box.width / 2))}px`;
    this.tip.style.top = `${top > box.height + 18 ? top - box.height - 14 : top + 16}px`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.places) return;
    const acts = {
      ArrowLeft: () => this.pan(PAN_STEP_PX, 0),
      ArrowRight: () => this.pan(-PAN_STEP_PX, 0),
      ArrowUp: () => this.pan(0, PAN_STEP_PX),
      ArrowDown: () => this.pan(0, -PAN_STEP_PX),
      "+": () => this.zoomAt(ZOOM_STEP),
      "=": () => this.zoomAt(ZOOM_STEP),
      "-": () => this.zoomAt(1 / ZOOM_STEP),
      0: () => this.reset(),
      Home: () => this.reset(),
      Escape: () => (this.area.length ? this.setArea([], true) : this.isolate([])),
      Enter: () => this.pickMiddle(),
      " ": () => this.pickMiddle(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  pickMiddle() {
    const [x, y] = this.centre.map((value) => (value + 1) * HALF);
    let reach = (12 / this.unitPx) * HALF;
    let point = -1;
    while (point < 0 && reach < 4 * HALF) {
      point = this.cells.nearest(x, y, reach, (other) => this.isShown(other));
      reach *= 3;
    }
    if (point >= 0) this.pick(point);
  }

  // The legend -----------------------------------------------------------------------------------------------------------

  isolate(keys) {
    this.only = new Set(keys);
    this.drawLegend();
    this.recolour();
    this.component.setTriggerValue("only", [...this.only]);
  }

  drawLegend() {
    const theme = themeOf(this.host);
    const head = node("div", "legend-head");
    head.append(node("span", "label", this.data.legend));
    if (this.only.size) {
      const all = node("button", "show-all", "Show all");
      all.type = "button";
      all.onclick = () => this.isolate([]);
      head.append(all);
    }
    const list = node("div", "entries");
    let rank = -1;
    this.data.groups.forEach((group) => {
      if (group.role === "value") rank += 1;
      list.append(this.buildEntry(group, rank, theme));
    });
    const focused = this.legend.getRootNode().activeElement?.dataset?.key;
    const scrolled = this.legend.querySelector(".entries")?.scrollTop || 0;
    this.legend.replaceChildren(head, list, node("div", "legend-foot", this.data.legend_help));
    list.scrollTop = scrolled;
    if (focused !== undefined) this.legend.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  buildEntry(group, rank, theme) {
    const isOn = this.only.has(group.key);
    const entry = node("button", this.only.size && !isOn ? "entry off" : "entry");
    entry.type = "button";
    entry.dataset.key = group.key;
    entry.setAttribute("aria-pressed", String(isOn));
    entry.setAttribute("aria-label", `${group.label}, ${group.n.toLocaleString("en")} ${this.data.noun}`);
    entry.title = `${group.label}: click to see it alone, Ctrl-click to add it`;
    const swatch = node("span", "swatch");
    const colour = (code) => css(colourOf(group, rank, theme, code).slice(0, 3));
    swatch.style.background =
      group.role === "scale"
        ? `linear-gradient(90deg, ${colour(group.low)}, ${colour(group.high)})`
        : colour(group.low);
    entry.append(
      swatch,
      node("span", "name", group.label),
      node("span", "count", group.n.toLocaleString("en")),
    );
    entry.onclick = (event) => {
      const isAdding = event.ctrlKey || event.metaKey || event.shiftKey;
      const others = [...this.only].filter((key) => key !== group.key);
      if (isAdding) this.isolate(isOn ? others : [...others, group.key]);
      else this.isolate(isOn && !others.length ? [] : [group.key]);
    };
    return entry;
  }

  save() {
    const ratio = this.dots.ratio || 1;
    const side = 250 * ratio;
    const picture = document.createElement("canvas");
    picture.width = this.canvas.width + side;
    picture.height = this.canvas.height;
    const context = picture.getContext("2d");
    const theme = themeOf(this.host);
    context.fillStyle = css(theme.ground);
    context.fillRect(0, 0, picture.width, picture.height);
    context.drawImage(this.canvas, 0, 0);
    context.scale(ratio, ratio);
    context.font = "13px sans-serif";
    let rank = -1;
    let top = 24;
    [{ label: this.data.legend, role: "title" }, ...this.data.groups].forEach((group) => {
      if (group.role === "value") rank += 1;
      if (top > this.height - 8) return;
      const left = this.width + 14;
      if (group.role !== "title") {
        context.fillStyle = css(colourOf(group, rank, theme, group.high).slice(0, 3));
        context.fillRect(left, top - 9, 10, 10);
      }
      context.fillStyle = css(theme.text);
      context.fillText(
        group.role === "title" ? group.label : `${group.label}  ${group.n.toLocaleString("en")}`,
        left + (group.role === "title" ? 0 : 18),
        top,
        210,
      );
      top += 20;
    });
    const link = node("a");
    link.download = `voxscope-map-${this.data.file_name}.png`;
    link.href = picture.toDataURL("image/png");
    link.click();
  }

  forget() {
    this.observer.disconnect();
    this.dots.forget();
  }
}

const figures = new WeakMap();

export default function (component) {
  const host = component.parentElement.querySelector(".point-map");
  if (!figures.has(host)) figures.set(host, new PointFigure(host));
  const figure = figures.get(host);
  figure.update(component);
  return () => {
    figures.delete(host);
    figure.forget();
  };
}
