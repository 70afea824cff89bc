// A map of dots to look at, listen to and draw round. What is chosen goes to Python: a dot by number, an area as a polygon.

import { download, element } from "../dom.js";
import { Cells, Dots } from "./dots.js";
import { fetched } from "./files.js";
import { Legend } from "./legend.js";
import { Overlay } from "./overlay.js";
import { paletteOf, themeOf } from "./palette.js";
import { pictureOf } from "./picture.js";
import { Pointers } from "./pointers.js";
import { DotSound } from "./sound.js";
import { Tools } from "./tools.js";
import { fromStored, toStored, View } from "./view.js";

const REACH_PX = 9;
const MIDDLE_REACH_PX = 12;
const MAX_CORNERS = 48;
const CORNER_DIGITS = 3;
const VIEW = "view";
const REST_MS = 300;
const ZOOM_STEP = 1.6;
const NO_WEBGL =
  "This map needs WebGL 2, which this browser lacks or has switched off. " +
  "All clips can be found and heard on the Clips page.";

class PointMap {
  view = new View();
  sound = new DotSound();
  overlay = new Overlay();
  legend = new Legend((keys) => this.isolate(keys));
  only = new Set();
  area = [];
  drawn = null;
  hovered = null;

  constructor(host) {
    this.host = host;
    this.build();
    this.dots = new Dots(this.canvas, () => this.settled());
    if (!this.dots.isUsable) this.say(NO_WEBGL);
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
    this.stage = element("div", "stage");
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.placeOf = (point) => this.clientPlace(point);
    this.canvas = element("canvas", "dots");
    this.message = element("div", "message", "Loading the map …");
    this.message.setAttribute("role", "status");
    this.stage.append(this.canvas, this.overlay.picture, this.overlay.tip, this.message);
    this.tools = new Tools({
      choose: (mode) => this.setMode(mode),
      closer: () => this.zoomAt(ZOOM_STEP),
      farther: () => this.zoomAt(1 / ZOOM_STEP),
      whole: () => this.reset(),
      save: () => this.save(),
      clear: () => this.chooseArea([]),
    });
    const figure = element("div", "figure");
    figure.append(this.stage, this.tools.node);
    this.host.replaceChildren(figure, this.legend.node);
    this.setMode("pan");
    this.pointers = new Pointers(this.stage, this);
  }

  setMode(mode) {
    this.mode = mode;
    this.stage.dataset.mode = mode;
    this.tools.show(mode);
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  // Data from Python -------------------------------------------------------------------------------------------------

  update(component) {
    const before = this.data;
    const { data } = component;
    this.component = component;
    this.data = data;
    if (!before) this.view.read(new URLSearchParams(window.location.search).get(VIEW));
    else if (before.map !== data.map) this.reset();
    if (!before || before.only_token !== data.only_token) this.only = new Set(data.only);
    if (!before || before.area_token !== data.area_token) this.setArea(data.area);
    const keys = "Arrow keys move it, plus and minus zoom, Enter opens the dot in the middle.";
    this.stage.setAttribute("aria-label", `${data.label}. ${keys}`);
    this.drawLegend();
    this.sound.playIfWanted(data.chosen);
    this.refresh();
  }

  async refresh() {
    const { data } = this;
    if (!this.dots.isUsable) return;
    try {
      const urls = [data.places_url, data.codes_url, data.sizes_url];
      const files = await Promise.all(urls.map((url) => (url ? fetched(url) : null)));
      if (data !== this.data) return;
      this.load(files);
      this.recolour();
      this.place();
      this.say("");
    } catch (error) {
      if (data !== this.data) return;
      this.say(`The map could not be loaded (${error.message}). Reload the page to try again.`);
    }
  }

  load([places, codes, sizes]) {
    const { data } = this;
    if (this.shownPlaces !== data.places_url) {
      this.places = new Uint16Array(places);
      this.dots.setPlaces(this.places, sizes && new Uint8Array(sizes));
      this.cells = new Cells(this.places);
      this.shownPlaces = data.places_url;
      this.shownCodes = null;
      this.names = null;
    }
    if (this.shownCodes !== data.codes_url) {
      this.codes = new Uint8Array(codes);
      this.dots.setCodes(this.codes);
      this.shownCodes = data.codes_url;
    }
  }

  get isLoaded() {
    return Boolean(this.places);
  }

  recolour() {
    if (!this.codes) return;
    const theme = themeOf(this.host);
    const look = JSON.stringify([this.shownPlaces, this.shownCodes, this.data.groups, [...this.only], theme]);
    if (look === this.look) return;
    this.look = look;
    const palette = paletteOf(this.data.groups, this.only, theme);
    this.layers = palette.layers;
    this.dots.setPalette(palette);
    this.redraw();
  }

  // The view ---------------------------------------------------------------------------------------------------------

  fit() {
    this.view.width = this.stage.clientWidth;
    this.view.height = this.stage.clientHeight;
    this.dots.resize(this.view.width, this.view.height);
    this.redraw();
  }

  redraw() {
    if (!this.places || !this.codes || !this.view.width) return;
    this.stage.dataset.state = "drawing";
    this.dots.draw({ ...this.view.transform(), dot: this.dotPx() });
    this.place();
  }

  // Pixels of the smallest dot, and what the largest has more.
  dotPx() {
    const { width, height, zoom } = this.view;
    const closer = Math.min(zoom, 40) ** 0.3;
    if (this.data.sizes_url) return [3.5 * closer, 15 * closer];
    const usual = Math.min(8, Math.max(1.2, ((width * height) / this.places.length / 1.5) ** 0.4));
    return [Math.min(16, usual * closer), 0];
  }

  settled() {
    this.stage.dataset.points = String(this.places.length / 2);
    this.stage.dataset.atOnce = String(Math.min(this.places.length / 2, this.dots.piece));
    this.stage.dataset.state = "ready";
  }

  pan(left, top) {
    this.view.pan(left, top);
    this.moved();
  }

  zoomAt(factor, at) {
    this.view.zoomAt(factor, at);
    this.moved();
  }

  reset() {
    this.view.reset();
    this.moved();
  }

  // Where the map was moved to stands in the address once it rests; the server need not know it.
  moved() {
    this.redraw();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const address = new URL(window.location.href);
      if (this.view.isWhole) address.searchParams.delete(VIEW);
      else address.searchParams.set(VIEW, this.view.asText());
      if (address.href !== window.location.href)
        window.history.replaceState(window.history.state, "", address);
    }, REST_MS);
  }

  pointPx(point) {
    return this.view.toPx([fromStored(this.places[2 * point]), fromStored(this.places[2 * point + 1])]);
  }

  clientPlace(point) {
    const box = this.stage.getBoundingClientRect();
    const [left, top] = this.pointPx(point);
    return { x: box.left + left, y: box.top + top };
  }

  // What lies over the dots moves with them.
  place() {
    if (!this.places || !this.view.width) return;
    const at = (point) => (point >= 0 && point < this.places.length / 2 ? this.pointPx(point) : null);
    const chosen = this.sound.wanted ?? this.data.chosen?.point ?? -1;
    const corners = (this.drawn || this.area).map((corner) => this.view.toPx(corner));
    this.overlay.place(this.view, at(chosen), at(this.hovered ?? -1), corners);
    this.tools.clear.hidden = !this.area.length;
  }

  // Dots -------------------------------------------------------------------------------------------------------------

  nearest(at, reachPx) {
    if (!this.cells) return -1;
    const [x, y] = this.view.toMap(at).map(toStored);
    const isShown = (point) => !this.only.size || this.layers[this.codes[point]] === 1;
    return this.cells.nearest(x, y, this.view.stored(reachPx), isShown);
  }

  dotAt(at) {
    return this.cells ? this.nearest(at, REACH_PX + this.dotPx()[0] / 2) : -1;
  }

  clickAt(at) {
    const point = this.dotAt(at);
    if (point >= 0) this.open(point);
  }

  clickMiddle() {
    const { middle, unitPx } = this.view;
    let point = -1;
    for (let reach = MIDDLE_REACH_PX; point < 0 && reach < 4 * unitPx; reach *= 3) {
      point = this.nearest(middle, reach);
    }
    if (point >= 0) this.open(point);
  }

  open(point) {
    const { chosen, sounds } = this.data;
    if (chosen?.point === point) this.sound.again(chosen);
    else this.sound.hear(point, sounds, () => this.component.setTriggerValue("picked", point));
    this.place();
  }

  // at: where the pointer rests, null where it has left or draws.
  hoverAt(at) {
    const point = at ? this.dotAt(at) : -1;
    this.stage.classList.toggle("over-dot", point >= 0);
    const hovered = point >= 0 ? point : null;
    if (hovered === this.hovered) return;
    this.hovered = hovered;
    this.place();
    if (hovered === null) this.overlay.hideTip();
    else this.showTip(hovered);
  }

  async showTip(point) {
    const [name, about] = await this.namesOf(point);
    if (point !== this.hovered) return;
    const code = this.codes[point];
    const group = this.data.groups.find(({ low, high }) => low <= code && code <= high)?.label ?? "";
    const lines = [element("strong", "", name || group), element("span", "", about)];
    if (name && !about.includes(group)) lines.push(element("span", "group", group));
    this.overlay.showTip(
      lines.filter((line) => line.textContent),
      this.pointPx(point),
      this.view,
    );
  }

  // A dot's name and what is known of it; empty where none were sent or they cannot be fetched.
  async namesOf(point) {
    if (!this.data.names_url) return ["", ""];
    try {
      this.names ||= new TextDecoder().decode(await fetched(this.data.names_url)).split("\n");
      return this.names[point].split("\t");
    } catch {
      return ["", ""];
    }
  }

  // Areas and groups -------------------------------------------------------------------------------------------------

  drawArea(corners) {
    if (corners === null && this.drawn === null) return;
    this.drawn = corners;
    this.place();
  }

  setArea(corners) {
    const step = Math.max(1, Math.ceil(corners.length / MAX_CORNERS));
    this.area = corners
      .filter((_, i) => i % step === 0)
      .map((corner) => corner.map((value) => Number(value.toFixed(CORNER_DIGITS))));
    this.place();
  }

  chooseArea(corners) {
    this.setArea(corners);
    this.component.setTriggerValue("area", this.area);
  }

  isolate(keys) {
    this.only = new Set(keys);
    this.drawLegend();
    this.recolour();
    this.component.setTriggerValue("only", [...this.only]);
  }

  letGo() {
    if (this.area.length) this.chooseArea([]);
    else this.isolate([]);
  }

  drawLegend() {
    this.legend.draw(this.data, this.only, themeOf(this.host));
  }

  save() {
    const address = pictureOf(this.canvas, this.dots.ratio || 1, this.data, themeOf(this.host));
    download(address, `voxscope-map-${this.data.file_name}.png`);
  }

  forget() {
    clearTimeout(this.resting);
    this.observer.disconnect();
    this.dots.forget();
  }
}

const maps = new WeakMap();

export default function draw(component) {
  const host = component.parentElement.querySelector(".point-map");
  if (!maps.has(host)) maps.set(host, new PointMap(host));
  const map = maps.get(host);
  map.update(component);
  return () => {
    maps.delete(host);
    map.forget();
  };
}
