// What the colours of a map mean; an entry shows its dots alone, and with Ctrl adds them to those that are.

import { css } from "../colours.js";
import { button, element } from "../dom.js";
import { colourOf, ranked, shapeOf, SHAPES } from "./palette.js";

export class Legend {
  // isolate: called with the keys that shall be seen alone.
  constructor(isolate) {
    this.node = element("div", "legend");
    this.isolate = isolate;
  }

  draw(data, only, theme) {
    const head = element("div", "legend-head");
    head.append(element("span", "label", data.legend));
    if (only.size) head.append(button("show-all", "Show all", () => this.isolate([])));
    const list = element("div", "entries");
    list.append(...ranked(data.groups).map((group) => this.buildEntry(group, data.noun, only, theme)));
    const focused = this.node.getRootNode().activeElement?.dataset?.key;
    const scrolled = this.node.querySelector(".entries")?.scrollTop || 0;
    this.node.replaceChildren(head, list, element("div", "legend-foot", data.legend_help));
    list.scrollTop = scrolled;
    if (focused !== undefined) this.node.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  buildEntry(group, noun, only, theme) {
    const isOn = only.has(group.key);
    const entry = button(only.size && !isOn ? "entry off" : "entry", null, (event) => {
      const isAdding = event.ctrlKey || event.metaKey || event.shiftKey;
      const others = [...only].filter((key) => key !== group.key);
      if (isAdding) this.isolate(isOn ? others : [...others, group.key]);
      else this.isolate(isOn && !others.length ? [] : [group.key]);
    });
    const count = group.n.toLocaleString("en");
    entry.dataset.key = group.key;
    entry.setAttribute("aria-pressed", String(isOn));
    entry.setAttribute("aria-label", `${group.label}, ${count} ${noun}`);
    entry.title = `${group.label}: click to see it alone, Ctrl-click to add it`;
    const swatch = element("span", `swatch ${SHAPES[shapeOf(group)]}`);
    const colour = (code) => css(colourOf(group, theme, code).slice(0, 3));
    swatch.style.setProperty("--colour", colour(group.low));
    swatch.style.background =
      group.role === "scale" ? `linear-gradient(90deg, ${colour(group.low)}, ${colour(group.high)})` : "";
    entry.append(swatch, element("span", "name", group.label), element("span", "count", count));
    return entry;
  }
}
