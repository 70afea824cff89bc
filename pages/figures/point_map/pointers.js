// Mouse, pen, fingers and keys on a map, turned into what they ask for.

const CLICK_SLACK_PX = { mouse: 4, pen: 6, touch: 10 };
const LASSO_STEP_PX = 3;
const PAN_STEP_PX = 60;
const ZOOM_STEP = 1.6;
const LINE_PX = 16;
const MAX_WHEEL = 240;
const WHEEL_PACE = 0.0018;

// map: what is done, see PointMap: view, pan, zoomAt, reset, mode, drawArea, chooseArea, clickAt, hoverAt, …
export class Pointers {
  down = new Map();
  stroke = null;

  constructor(stage, map) {
    this.stage = stage;
    this.map = map;
    const on = (name, act, options) => stage.addEventListener(name, act, options);
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", (event) => this.cancel(event));
    on("pointerleave", () => map.hoverAt(null));
    on("dblclick", () => map.reset());
    on("keydown", (event) => this.key(event));
    on("wheel", (event) => this.wheel(event), { passive: false });
    // one finger scrolls the page past the map (touch-action), two are the map's
    on("touchmove", (event) => event.touches.length > 1 && event.cancelable && event.preventDefault(), {
      passive: false,
    });
  }

  within(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  press(event) {
    if (event.button !== 0 || !this.map.isLoaded) return;
    this.stage.setPointerCapture(event.pointerId);
    const at = this.within(event);
    this.down.set(event.pointerId, at);
    if (this.down.size > 1) {
      this.stroke = null;
      this.map.drawArea(null);
      return;
    }
    const mode = event.shiftKey && this.map.mode === "pan" ? "box" : this.map.mode;
    this.stroke = { mode, from: at, last: at, isClick: true, path: [this.map.view.toMap(at)] };
  }

  move(event) {
    const at = this.within(event);
    const before = this.down.get(event.pointerId);
    if (!before) {
      this.map.hoverAt(at);
      return;
    }
    if (this.down.size === 2) this.pinch(event.pointerId, before, at);
    this.down.set(event.pointerId, at);
    const { stroke } = this;
    if (!stroke) return;
    const far = Math.hypot(at[0] - stroke.from[0], at[1] - stroke.from[1]);
    if (stroke.isClick && far < (CLICK_SLACK_PX[event.pointerType] ?? CLICK_SLACK_PX.mouse)) return;
    stroke.isClick = false;
    this.map.hoverAt(null);
    if (stroke.mode === "pan") this.map.pan(at[0] - stroke.last[0], at[1] - stroke.last[1]);
    else this.extend(stroke, at);
    if (stroke.mode !== "lasso") stroke.last = at;
  }

  pinch(moved, before, at) {
    const other = [...this.down].find(([id]) => id !== moved)[1];
    const span = (one) => Math.max(8, Math.hypot(one[0] - other[0], one[1] - other[1]));
    this.map.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.map.zoomAt(span(at) / span(before), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
  }

  // The box or lasso under the pointer.
  extend(stroke, at) {
    const [x, y] = this.map.view.toMap(at);
    const [x0, y0] = stroke.path[0];
    if (stroke.mode === "box") {
      stroke.path = [
        [x0, y0],
        [x, y0],
        [x, y],
        [x0, y],
      ];
    } else if (Math.hypot(at[0] - stroke.last[0], at[1] - stroke.last[1]) >= LASSO_STEP_PX) {
      stroke.path.push([x, y]);
      stroke.last = at;
    }
    this.map.drawArea(stroke.path);
  }

  release(event) {
    const { stroke } = this;
    this.drop(event);
    if (!stroke) return;
    if (stroke.isClick) this.map.clickAt(this.within(event));
    else if (stroke.mode !== "pan" && stroke.path.length > 2) this.map.chooseArea(stroke.path);
  }

  // The browser has taken the finger to scroll the page: the map stays where it was.
  cancel(event) {
    const { stroke } = this;
    this.drop(event);
    if (stroke?.mode === "pan")
      this.map.pan(stroke.from[0] - stroke.last[0], stroke.from[1] - stroke.last[1]);
  }

  drop(event) {
    this.down.delete(event.pointerId);
    this.stroke = null;
    this.map.drawArea(null);
  }

  wheel(event) {
    event.preventDefault();
    const turned = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1);
    const bounded = Math.max(-MAX_WHEEL, Math.min(MAX_WHEEL, turned));
    this.map.zoomAt(Math.exp(-bounded * WHEEL_PACE), this.within(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.map.isLoaded) return;
    const { map } = this;
    const acts = {
      ArrowLeft: () => map.pan(PAN_STEP_PX, 0),
      ArrowRight: () => map.pan(-PAN_STEP_PX, 0),
      ArrowUp: () => map.pan(0, PAN_STEP_PX),
      ArrowDown: () => map.pan(0, -PAN_STEP_PX),
      "+": () => map.zoomAt(ZOOM_STEP),
      "=": () => map.zoomAt(ZOOM_STEP),
      "-": () => map.zoomAt(1 / ZOOM_STEP),
      0: () => map.reset(),
      Home: () => map.reset(),
      Escape: () => map.letGo(),
      Enter: () => map.clickMiddle(),
      " ": () => map.clickMiddle(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }
}
