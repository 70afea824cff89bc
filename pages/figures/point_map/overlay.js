// What lies over the dots: the chosen and the hovered dot, the area drawn round some, and a tip with a dot's name.

import { element, svg } from "../dom.js";

const CROSS_PX = 9;
const EDGE_PX = 4;

export class Overlay {
  constructor() {
    this.picture = svg("svg", { class: "over", "aria-hidden": "true" });
    this.area = svg("path", { class: "area" });
    this.ring = svg("circle", { class: "ring", r: 8 });
    this.hoverRing = svg("circle", { class: "ring hovered", r: 7 });
    this.cross = svg("path", { class: "cross" });
    this.picture.append(this.area, this.ring, this.hoverRing, this.cross);
    this.tip = element("div", "tip");
  }

  // Places in pixels: of the chosen and the hovered dot (null for none), of the corners of the area.
  place(view, chosen, hovered, corners) {
    putRing(this.ring, chosen);
    putRing(this.hoverRing, hovered);
    const points = corners.map((corner) => corner.map((value) => value.toFixed(1)).join(" "));
    this.area.setAttribute("d", points.length > 1 ? `M${points.join("L")}Z` : "");
    const [left, top] = view.middle;
    const length = 2 * CROSS_PX;
    this.cross.setAttribute("d", `M${left - CROSS_PX} ${top}h${length}M${left} ${top - CROSS_PX}v${length}`);
  }

  hideTip() {
    this.tip.classList.remove("shown");
  }

  showTip(lines, [left, top], view) {
    this.tip.replaceChildren(...lines);
    this.tip.classList.add("shown");
    const box = this.tip.getBoundingClientRect();
    const furthest = view.width - box.width - EDGE_PX;
    this.tip.style.left = `${Math.max(EDGE_PX, Math.min(furthest, left - box.width / 2))}px`;
    this.tip.style.top = `${top > box.height + 18 ? top - box.height - 14 : top + 16}px`;
  }
}

function putRing(ring, at) {
  ring.style.display = at ? "" : "none";
  if (!at) return;
  ring.setAttribute("cx", at[0]);
  ring.setAttribute("cy", at[1]);
}
