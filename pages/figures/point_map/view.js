// What part of a map is seen: places on the map (−1 … 1, y upwards) to pixels of the stage and back.

const MAX_ZOOM = 400;
const MIN_ZOOM = 0.5;
const MAX_CENTRE = 1.5;
const FITS = 0.94;
const HALF = 32767.5;

// A coordinate of the map as the dots store it, 0 … 65535.
export const toStored = (value) => (value + 1) * HALF;
export const fromStored = (value) => value / HALF - 1;

export class View {
  width = 0;
  height = 0;
  centre = [0, 0];
  zoom = 1;

  // Pixels of one unit of the map.
  get unitPx() {
    return (Math.min(this.width, this.height) / 2) * FITS * this.zoom;
  }

  get middle() {
    return [this.width / 2, this.height / 2];
  }

  toPx([x, y]) {
    const [left, top] = this.middle;
    return [left + (x - this.centre[0]) * this.unitPx, top - (y - this.centre[1]) * this.unitPx];
  }

  toMap([left, top]) {
    const middle = this.middle;
    return [
      this.centre[0] + (left - middle[0]) / this.unitPx,
      this.centre[1] - (top - middle[1]) / this.unitPx,
    ];
  }

  // How far some pixels reach in the dots' own unit.
  stored(px) {
    return (px / this.unitPx) * HALF;
  }

  zoomAt(factor, at = this.middle) {
    const [x, y] = this.toMap(at);
    this.zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.zoom * factor));
    const [left, top] = this.middle;
    this.centre = [x - (at[0] - left) / this.unitPx, y + (at[1] - top) / this.unitPx];
  }

  pan(left, top) {
    const moved = [this.centre[0] - left / this.unitPx, this.centre[1] + top / this.unitPx];
    this.centre = moved.map((value) => Math.min(MAX_CENTRE, Math.max(-MAX_CENTRE, value)));
  }

  reset() {
    this.centre = [0, 0];
    this.zoom = 1;
  }

  // The view as an address says it, and back; an address that makes no sense changes nothing.
  asText() {
    return [...this.centre, this.zoom].map((value) => Number(value.toFixed(3))).join(",");
  }

  read(text) {
    const [x, y, zoom, ...rest] = (text ?? "").split(",").map(Number);
    const isView = text && !rest.length && [x, y, zoom].every(Number.isFinite) && zoom > 0;
    if (!isView) return;
    this.centre = [x, y].map((value) => Math.min(MAX_CENTRE, Math.max(-MAX_CENTRE, value)));
    this.zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));
  }

  get isWhole() {
    return this.zoom === 1 && this.centre.every((value) => value === 0);
  }

  // Stored places 0 … 1 into −1 … 1 of the canvas, as the graphics card takes them.
  transform() {
    const [across, up] = [(2 * this.unitPx) / this.width, (2 * this.unitPx) / this.height];
    return {
      scale: [2 * across, 2 * up],
      offset: [-(1 + this.centre[0]) * across, -(1 + this.centre[1]) * up],
    };
  }
}
