// The buttons over a map: what a drag does, zoom, save, let go of the chosen area.

import { button, element, svg } from "../dom.js";

export const MODES = {
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

function tool(name, label, act) {
  const made = button(`tool ${name}`, null, act);
  made.title = label;
  made.setAttribute("aria-label", label);
  const icon = svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  icon.append(svg("path", { d: ICONS[name] }));
  made.append(icon);
  return made;
}

export class Tools {
  // acts: choose(mode), closer, farther, whole, save, clear.
  constructor(acts) {
    this.node = element("div", "tools");
    this.node.setAttribute("role", "toolbar");
    this.node.setAttribute("aria-label", "Map tools");
    this.modes = Object.entries(MODES).map(([mode, label]) => tool(mode, label, () => acts.choose(mode)));
    this.clear = tool("clear", "Let go of the chosen area (Esc)", acts.clear);
    const groups = [
      this.modes,
      [
        tool("closer", "Zoom in (+)", acts.closer),
        tool("farther", "Zoom out (−)", acts.farther),
        tool("whole", "Show the whole map (double click, 0)", acts.whole),
      ],
      [tool("picture", "Save as a picture (PNG)", acts.save), this.clear],
    ];
    groups.forEach((tools) => {
      const group = element("div", "modes");
      group.append(...tools);
      this.node.append(group);
    });
  }

  show(mode) {
    this.modes.forEach((made) => made.setAttribute("aria-pressed", String(made.classList.contains(mode))));
  }
}
