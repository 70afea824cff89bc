// The colours and shapes of a map's groups in the theme of the page.

import { mixed, rgb } from "../colours.js";
import { CODES, NO_LAYER } from "./dots.js";

// So many colours are told apart by everybody; further groups have them again with another shape.
const HUES = 8;
export const SHAPES = ["disc", "ring", "square"];
const N_TOLD_APART = HUES * SHAPES.length;

export function themeOf(host) {
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

function along(sequence, fraction) {
  const at = Math.min(0.9999, Math.max(0, fraction)) * (sequence.length - 1);
  return mixed(sequence[Math.floor(at)], sequence[Math.floor(at) + 1], at % 1);
}

// Groups with their ranks among the values, which decide on colours and shapes.
export function ranked(groups) {
  let rank = -1;
  return groups.map((group) => {
    if (group.role === "value") rank += 1;
    return { ...group, rank };
  });
}

// [red, green, blue, alpha] of a ranked group, or of one code of a graded group.
export function colourOf(group, theme, code) {
  const grey = mixed(theme.ground, theme.text, 0.42);
  if (group.role === "scale") return [...along(theme.sequence.slice(3), code / 255), 0.95];
  if (group.role === "unknown") return [...mixed(theme.ground, theme.text, 0.3), 0.45];
  if (group.role === "rest") return [...grey, 0.6];
  if (group.rank < N_TOLD_APART) return [...theme.categories[group.rank % HUES], 0.88];
  return [...grey, 0.75];
}

// The number of a ranked group's shape in SHAPES.
export function shapeOf(group) {
  const isTold = group.role === "value" && group.rank < N_TOLD_APART;
  return isTold ? Math.floor(group.rank / HUES) : 0;
}

// Colours and shapes of all codes and the layer each lies on, with the groups in `only` alone where there are any.
export function paletteOf(groups, only, theme) {
  const hidden = [...mixed(theme.ground, theme.text, 0.32), 0.22];
  const colours = Array.from({ length: CODES }, () => hidden);
  const layers = Array.from({ length: CODES }, () => NO_LAYER);
  const shapes = Array.from({ length: CODES }, () => 0);
  ranked(groups).forEach((group) => {
    const isAlone = only.has(group.key);
    const hasColour = group.role === "scale" || (group.role === "value" && group.rank < N_TOLD_APART);
    for (let code = group.low; code <= group.high; code += 1) {
      layers[code] = 0;
      shapes[code] = shapeOf(group);
      if (only.size && !isAlone) continue;
      colours[code] = isAlone && !hasColour ? [...theme.primary, 0.9] : colourOf(group, theme, code);
      layers[code] = isAlone || (group.role !== "unknown" && group.role !== "rest") ? 1 : 0;
    }
  });
  return { colours, layers, shapes };
}
