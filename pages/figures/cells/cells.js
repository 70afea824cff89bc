// Tables of coloured cells; a cell may be a link that opens in place on a plain click, or a button.

import { isDark } from "../colours.js";
import { element, onPlainClick, showInPage } from "../dom.js";

// from this fraction on, the other one of black and white has the higher contrast, at least 4.5 either way
const TEXT_TURNS_AT = { light: 0.87, dark: 0.78 };

function buildInside(cell, component) {
  const tag = cell.opens === null ? "div" : cell.href ? "a" : "button";
  const inside = element(tag, "cell");
  inside.append(element("span", "text", cell.text));
  if (cell.detail) inside.append(element("span", "detail", cell.detail));
  if (cell.help) inside.title = cell.help;
  if (cell.href) inside.href = cell.href;
  if (tag === "button") inside.type = "button";
  if (tag === "div") return inside;
  onPlainClick(inside, () => {
    showInPage(component.data.shows_in);
    component.setTriggerValue("opened", cell.opens);
  });
  return inside;
}

function buildCell(cell, component, theme) {
  const place = element("td");
  if (cell.filled !== null) {
    const filled = Math.min(1, Math.max(0, cell.filled));
    place.classList.add("filled");
    place.classList.toggle("dark-text", filled > TEXT_TURNS_AT[theme]);
    place.style.setProperty("--depth", `${(4 + 92 * filled).toFixed(1)}%`);
  }
  if (cell.is_marked) {
    place.classList.add("marked");
    place.setAttribute("aria-current", "true");
  }
  if (cell.text || cell.opens !== null) place.append(buildInside(cell, component));
  return place;
}

function buildTable(table, component, theme) {
  const box = element("div", table.is_wide ? "table wide" : "table");
  if (table.title) box.append(element("div", "title", table.title));
  const hasDetail = table.lines.some((line) => line.cells.some((cell) => cell.detail));
  const grid = element("table", hasDetail ? "with-detail" : "");
  if (table.title) grid.setAttribute("aria-label", table.title);
  const head = element("tr");
  head.append(element("th", "line", table.corner));
  table.columns.forEach((name) => {
    const cell = element("th", "", name);
    cell.title = name;
    cell.scope = "col";
    head.append(cell);
  });
  grid.append(head);
  table.lines.forEach((line) => {
    const row = element("tr");
    const label = element("th", "line", line.label);
    label.title = line.label;
    label.scope = "row";
    row.append(label, ...line.cells.map((cell) => buildCell(cell, component, theme)));
    grid.append(row);
  });
  box.append(grid);
  return box;
}

export default function draw(component) {
  const { data, parentElement } = component;
  const host = parentElement.querySelector(".cells");
  host.replaceChildren();
  const theme = isDark(host) ? "dark" : "light";
  host.classList.toggle("dark", theme === "dark");
  const tables = element("div", "tables");
  data.tables.forEach((table) => tables.append(buildTable(table, component, theme)));
  host.append(tables);
}
