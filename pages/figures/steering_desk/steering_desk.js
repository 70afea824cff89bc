// Sliders for steered latents, and similarities by trial group that follow while one is dragged.

import { drawAtEveryWidth, element, saveButton, saveSvg } from "../dom.js";
import { buildLegend, drawSimilarities } from "./similarities.js";
import { buildRow } from "./sliders.js";

const GIVE_UP_MS = 2000;

class Desk {
  rows = [];
  isDragging = false;
  tick = 0;
  // number of the message on its way, when it left, and the one that leaves once the figure for it has come back
  sent = null;
  sentAt = 0;
  waiting = null;

  constructor(host) {
    this.sliders = element("div", "sliders");
    this.legend = element("div", "legend");
    this.figure = element("div", "figure");
    const [right, above] = [element("div", "right"), element("div", "legend-line")];
    above.append(
      this.legend,
      saveButton(() => saveSvg(this.figure.querySelector("svg"), "voxscope-steering.svg")),
    );
    right.append(above, this.figure);
    host.replaceChildren(this.sliders, right);
  }

  update(component) {
    const { data } = component;
    this.component = component;
    this.tick = Math.max(this.tick, data.tick);
    this.drawRows(data.rows);
    this.legend.replaceChildren(...buildLegend(data));
    const end = drawAtEveryWidth(this.figure, () => drawSimilarities(this.figure, data));
    this.receive(data.tick);
    return end;
  }

  send(event) {
    this.tick += 1;
    const changes = this.rows.map(({ latent, mode, amount }) => ({ latent, mode, amount }));
    const message = { changes, tick: this.tick };
    if (event === "moved" && this.sent !== null && performance.now() - this.sentAt < GIVE_UP_MS) {
      this.waiting = message;
      return;
    }
    if (event === "settled") this.waiting = null;
    this.post(event, message);
  }

  post(event, message) {
    this.sent = message.tick;
    this.sentAt = performance.now();
    if (event === "settled") this.component.setTriggerValue("settled", message);
    else this.component.setStateValue("moved", message);
  }

  receive(tick) {
    if (this.sent === null || tick < this.sent) return;
    this.sent = null;
    if (!this.waiting) return;
    const message = this.waiting;
    this.waiting = null;
    this.post("moved", message);
  }

  drawRows(rows) {
    if (this.isDragging) return;
    const isSame = (row, i) => row.label === this.rows[i].label && row.href === this.rows[i].href;
    if (rows.length && rows.length === this.rows.length && rows.every(isSame)) {
      // the same sliders stay, so that the one in hand keeps the focus
      rows.forEach(({ mode, amount }, i) => Object.assign(this.rows[i], { mode, amount }).refresh());
      return;
    }
    this.rows = rows.map((row) => ({ ...row }));
    this.sliders.replaceChildren(...this.rows.map((row) => buildRow(this, row)));
    if (!rows.length) {
      this.sliders.append(element("div", "empty", "Nothing is steered. Add a latent, or take a preset."));
    }
  }
}

export default function draw(component) {
  const host = component.parentElement.querySelector(".desk");
  host.desk ||= new Desk(host);
  return host.desk.update(component);
}
