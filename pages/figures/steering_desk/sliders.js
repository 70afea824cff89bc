// A row for each steered latent: its name, what is done to it, and a slider for how much.

import { button, element, onPlainClick } from "../dom.js";

const MODES = [
  ["ablate", "off"],
  ["scale", "scale"],
  ["set", "set"],
];
const STEPS = 200;
const MAX_SCALE = 3;
const MAX_SET = 1.5;

const limitOf = (row) => (row.mode === "set" ? MAX_SET * row.highest : MAX_SCALE);
const amountText = (row) =>
  row.mode === "ablate" ? "0" : row.mode === "scale" ? `× ${row.amount.toFixed(2)}` : row.amount.toFixed(2);

// Where a slider changes nothing (scale), or stands at the highest activation of any clip (set).
function noteworthy(row) {
  if (row.mode === "scale") return { at: 1 / MAX_SCALE, words: "as it is" };
  return row.mode === "set" ? { at: 1 / MAX_SET, words: "the highest of any clip" } : null;
}

function buildModes(desk, row) {
  const modes = element("div", "modes");
  modes.setAttribute("role", "radiogroup");
  modes.setAttribute("aria-label", `How to change ${row.label}`);
  MODES.forEach(([mode, words]) => {
    const choice = button("mode", words, () => {
      if (row.mode === mode) return;
      row.mode = mode;
      row.amount = mode === "set" ? row.highest : mode === "scale" ? 1 : 0;
      row.refresh();
      desk.send("settled");
    });
    choice.setAttribute("role", "radio");
    choice.dataset.mode = mode;
    modes.append(choice);
  });
  return modes;
}

function buildRange(desk, row) {
  const range = element("input", "range");
  range.type = "range";
  range.min = 0;
  range.max = STEPS;
  range.setAttribute("aria-label", `Amount of ${row.label}`);
  range.oninput = () => {
    desk.isDragging = true;
    if (row.mode === "ablate") row.mode = "scale";
    row.amount = (limitOf(row) * Number(range.value)) / STEPS;
    row.refresh();
    desk.send("moved");
  };
  range.onchange = () => {
    desk.isDragging = false;
    desk.send("settled");
  };
  return range;
}

function buildRemove(desk, row, node) {
  const remove = button("remove", "×", () => {
    desk.rows = desk.rows.filter((other) => other !== row);
    node.remove();
    desk.send("settled");
  });
  remove.title = `Stop steering ${row.label}`;
  remove.setAttribute("aria-label", remove.title);
  return remove;
}

export function buildRow(desk, row) {
  const node = element("div", "row");
  node.dataset.latent = row.latent;
  const link = element("a", "name", row.label);
  link.href = row.href;
  link.title = row.help;
  onPlainClick(link, () => desk.component.setTriggerValue("opened", row.latent));
  const modes = buildModes(desk, row);
  const range = buildRange(desk, row);
  const [track, mark, amount] = [
    element("div", "track"),
    element("span", "mark"),
    element("output", "amount"),
  ];
  track.append(mark, range);
  node.append(link, modes, buildRemove(desk, row, node), track, amount);
  row.refresh = () => {
    range.value = row.mode === "ablate" ? 0 : Math.round((STEPS * row.amount) / limitOf(row));
    range.setAttribute("aria-valuetext", amountText(row));
    amount.textContent = amountText(row);
    const stop = noteworthy(row);
    mark.hidden = stop === null;
    if (stop) mark.style.left = `calc(8px + (100% - 16px) * ${stop.at})`;
    mark.title = stop?.words ?? "";
    modes.querySelectorAll(".mode").forEach((choice) => {
      choice.setAttribute("aria-checked", String(choice.dataset.mode === row.mode));
    });
  };
  row.refresh();
  return node;
}
