// Similarities by trial group, before and after, over one axis. Without a threshold they are relative changes.

import { element, svg } from "../dom.js";

const GROUP_PX = 74;
const BARS_PX = 50;
const AXIS_PX = 34;
const MARGIN_PX = 24;
const LEAST_PX = 240;
const NARROW_PX = 460;
const TICK_STEPS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

const isRelative = (data) => data.threshold === null;

// Steps along the tops of the bins; unit: pixels of a bin that holds every pair.
function outline(fractions, area, unit) {
  const width = area.width / fractions.length;
  const steps = fractions.map((fraction, i) => {
    const y = (area.base - fraction * unit).toFixed(1);
    return `L${(area.x + i * width).toFixed(1)} ${y}H${(area.x + (i + 1) * width).toFixed(1)}`;
  });
  return `M${area.x} ${area.base}${steps.join("")}L${area.x + area.width} ${area.base}Z`;
}

function tickText(value, step, data) {
  const digits = isRelative(data) ? (step < 0.01 ? 1 : 0) : step < 0.1 ? 2 : 1;
  if (!isRelative(data)) return value.toFixed(digits).replace("-", "−");
  return `${value > 0 ? "+" : ""}${(100 * value).toFixed(digits)} %`.replace("-", "−");
}

function drawAxis(picture, data, area, y) {
  const span = data.high - data.low;
  const step = TICK_STEPS.find((size) => span / size <= Math.max(4, area.width / 70)) || 1;
  for (let n = Math.ceil(data.low / step - 1e-9); n <= data.high / step + 1e-9; n += 1) {
    const value = n === 0 ? 0 : n * step;
    const x = area.xOf(value);
    picture.append(
      svg("line", { class: "grid", x1: x, x2: x, y1: 0, y2: y }),
      svg("text", { class: "tick", x, y: y + 14, "text-anchor": "middle" }, tickText(value, step, data)),
    );
  }
  const words = isRelative(data) ? "relative change of similarity" : "cosine similarity of a pair of clips";
  const middle = { x: area.x + area.width / 2, y: y + 30, "text-anchor": "middle" };
  picture.append(svg("text", { class: "axis", ...middle }, words));
}

function meanText(group, data) {
  const shift = isRelative(data) ? 100 * group.mean_after : group.mean_after - group.mean_before;
  const size = Math.abs(shift).toFixed(isRelative(data) ? 1 : 3);
  return `mean ${shift >= 0 ? "+" : "−"}${size}${isRelative(data) ? " %" : ""}`;
}

function drawWords(parts, group, data, area) {
  const y = area.base - GROUP_PX + 18;
  const name = svg("text", { class: "label", x: area.x + 2, y }, group.name);
  const count = `${group.n.toLocaleString("en")} pairs`;
  const right = { x: area.x + area.width - 2, "text-anchor": "end" };
  parts.append(name, svg("text", { class: "shift", y, ...right }, meanText(group, data)));
  // where the name and the shift fill the line, the count stands below
  if (area.width < NARROW_PX) parts.append(svg("text", { class: "count", x: area.x + 2, y: y + 14 }, count));
  else name.append(svg("tspan", { class: "count", dx: 6 }, count));
}

function drawGroup(picture, group, data, area) {
  const { name, before, after, mean_before: meanBefore, mean_after: meanAfter } = group;
  const label = `${name}: mean ${meanBefore.toFixed(3)} before, ${meanAfter.toFixed(3)} after`;
  const parts = svg("g", { class: "group", role: "img", "aria-label": label });
  const unit = BARS_PX / Math.max(...(isRelative(data) ? [] : before), ...after, 1e-9);
  if (!isRelative(data)) parts.append(svg("path", { class: "before", d: outline(before, area, unit) }));
  const [left, right] = [area.x, area.x + area.width];
  parts.append(
    svg("path", { class: "after", d: outline(after, area, unit) }),
    svg("line", { class: "base", x1: left, x2: right, y1: area.base, y2: area.base }),
  );
  [
    ["mean-before", meanBefore],
    ["mean-after", meanAfter],
  ].forEach(([className, mean]) => {
    const x = Math.min(right, Math.max(left, area.xOf(mean)));
    parts.append(svg("line", { class: className, x1: x, x2: x, y1: area.base, y2: area.base - BARS_PX + 2 }));
  });
  drawWords(parts, group, data, area);
  picture.append(parts);
}

export function drawSimilarities(host, data) {
  const width = Math.max(LEAST_PX, host.clientWidth);
  const bottom = GROUP_PX * data.groups.length;
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${bottom + AXIS_PX}`,
    width,
    height: bottom + AXIS_PX,
    role: "group",
    "aria-label": "Similarities before and after steering",
  });
  const area = { x: MARGIN_PX, width: width - 2 * MARGIN_PX };
  area.xOf = (value) => area.x + (area.width * (value - data.low)) / (data.high - data.low);
  drawAxis(picture, data, area, bottom);
  data.groups.forEach((group, i) =>
    drawGroup(picture, group, data, { ...area, base: (i + 1) * GROUP_PX - 1 }),
  );
  if (!isRelative(data)) {
    const x = area.xOf(data.threshold);
    const line = svg("line", { class: "threshold", x1: x, x2: x, y1: 0, y2: bottom });
    line.append(svg("title", {}, `threshold ${data.threshold.toFixed(3)}`));
    picture.append(line);
  }
  host.replaceChildren(picture);
}

export function buildLegend(data) {
  const keys = isRelative(data)
    ? [["key-after", "change"]]
    : [
        ["key-before", "before"],
        ["key-after", "after"],
        ["key-threshold", "accepted from here"],
      ];
  if (data.note) keys.push(["note", data.note]);
  return keys.map(([className, words]) => element("span", className, words));
}
