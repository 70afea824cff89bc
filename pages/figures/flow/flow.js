// A flow diagram: columns of places, ribbons between them. Ribbons are buttons, names of places may be links.

import { drawAtEveryWidth, onPlainClick, saveButton, saveSvg, showInPage, svg } from "../dom.js";

const BAR_PX = 11;
const GAP_PX = 9;
const TOP_PX = 34;
const LEAST_BAR_PX = 2;
const LINE_PX = 17;
const BODY_PX = 360;
const LABEL_PX = 148;
const LABEL_GAP_PX = 8;
const LEAST_PX = 240;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

function measure(data) {
  // Each place is as large as what flows in or out of it, whichever is more.
  return data.nodes.map((node) => {
    const out = data.links.filter((link) => link.source === node.name);
    const into = data.links.filter((link) => link.target === node.name);
    return {
      ...node,
      out,
      into,
      n: Math.max(sum(out.map((link) => link.n)), sum(into.map((link) => link.n))),
    };
  });
}

function arrange(places, nColumns) {
  // One scale for all columns; places too small for their label keep a line's height between them and the next.
  const columns = Array.from({ length: nColumns }, (_, column) =>
    places.filter((place) => place.column === column),
  );
  const scale = Math.min(
    ...columns.map(
      (column) => (BODY_PX - GAP_PX * column.length) / Math.max(1, sum(column.map((place) => place.n))),
    ),
  );
  let height = 0;
  columns.forEach((column) => {
    let y = TOP_PX;
    column.forEach((place) => {
      place.height = Math.max(LEAST_BAR_PX, place.n * scale);
      const room = Math.max(place.height, LINE_PX - GAP_PX);
      place.y = y + (room - place.height) / 2;
      y += room + GAP_PX;
    });
    height = Math.max(height, y);
  });
  return { columns, scale, height };
}

function stack(places, scale) {
  // Where each ribbon leaves and arrives: in the order of the places at its other end.
  const byName = Object.fromEntries(places.map((place) => [place.name, place]));
  const ribbons = new Map();
  places.forEach((place) => {
    [
      ["out", "target", "from"],
      ["into", "source", "to"],
    ].forEach(([side, end, key]) => {
      let y = place.y;
      place[side]
        .toSorted((a, b) => byName[a[end]].y - byName[b[end]].y)
        .forEach((link) => {
          const ribbon = ribbons.get(link) || { link };
          ribbon[key] = { place, y };
          ribbons.set(link, ribbon);
          y += link.n * scale;
        });
    });
  });
  return [...ribbons.values()];
}

function ribbonPath(from, to, width, x0, x1) {
  const bend = (x0 + x1) / 2;
  const thick = Math.max(1.2, width);
  return `M${x0},${from} C${bend},${from} ${bend},${to} ${x1},${to} L${x1},${to + thick} C${bend},${to + thick} ${bend},${from + thick} ${x0},${from + thick} Z`;
}

function buildRibbon(ribbon, xOf, scale, component) {
  const { link, from, to } = ribbon;
  const path = svg("path", {
    class: `link ${link.tone}${link.is_picked ? " picked" : ""}`,
    d: ribbonPath(from.y, to.y, link.n * scale, xOf(from.place.column) + BAR_PX, xOf(to.place.column)),
    tabindex: "0",
    role: "button",
    "aria-label": link.help,
    "aria-pressed": String(link.is_picked),
    "data-picks": link.picks,
  });
  path.append(svg("title", {}, link.help));
  const pick = () => {
    showInPage(component.data.shows_in, "nearest");
    component.setTriggerValue("picked", link.picks);
  };
  path.onclick = pick;
  path.onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pick();
  };
  return path;
}

function buildPlace(place, x, isRight, component) {
  const group = svg("g", { class: `node ${place.tone}` });
  group.append(svg("rect", { x, y: place.y, width: BAR_PX, height: place.height, rx: 2 }));
  const text = svg("text", {
    x: isRight ? x + BAR_PX + LABEL_GAP_PX : x - LABEL_GAP_PX,
    y: place.y + place.height / 2,
    dy: "0.34em",
    "text-anchor": isRight ? "start" : "end",
  });
  const count = svg("tspan", { class: "count", dx: "3" }, place.n.toLocaleString("en"));
  text.append(svg("tspan", { class: "label" }, place.label), " ", count);
  if (place.help) text.append(svg("title", {}, place.help));
  if (!place.href) {
    group.append(text);
    return group;
  }
  const link = svg("a", { href: place.href });
  onPlainClick(link, () => component.setTriggerValue("opened", place.name));
  link.append(text);
  group.append(link);
  return group;
}

// Cuts words so that their text, which may hold more than them, is at most as wide as its room; a title says all.
function fit(text, words, roomPx) {
  const full = words.textContent;
  for (let n = full.length; n > 1 && text.getComputedTextLength() > roomPx;) {
    n = Math.min(n - 1, Math.floor((n * roomPx) / text.getComputedTextLength()));
    words.textContent = `${full.slice(0, Math.max(1, n))}…`;
  }
  if (words.textContent !== full && !text.querySelector("title")) text.append(svg("title", {}, full));
}

function drawTitles(picture, titles, xOf, width) {
  const last = titles.length - 1;
  return titles.map((words, column) => {
    const anchor = column === 0 ? "start" : column === last ? "end" : "middle";
    const x = column === 0 ? 0 : column === last ? width : xOf(column) + BAR_PX / 2;
    const text = svg("text", { class: "column", x, y: 14, "text-anchor": anchor });
    text.append(svg("tspan", {}, words));
    picture.append(text);
    return text;
  });
}

function render(host, component) {
  const { data } = component;
  const width = Math.max(LEAST_PX, host.clientWidth);
  const nColumns = data.titles.length;
  const labelPx = Math.min(LABEL_PX, width * 0.27);
  const stepPx = (width - 2 * labelPx - BAR_PX) / Math.max(1, nColumns - 1);
  const xOf = (column) => labelPx + stepPx * column;
  const places = measure(data).filter((place) => place.n > 0);
  const { scale, height } = arrange(places, nColumns);
  const picture = svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "group",
    "aria-label": "Flows of clips",
  });
  const titles = drawTitles(picture, data.titles, xOf, width);
  stack(places, scale).forEach((ribbon) => picture.append(buildRibbon(ribbon, xOf, scale, component)));
  const nodes = places.map((place) => buildPlace(place, xOf(place.column), place.column > 0, component));
  picture.append(...nodes);
  host.querySelector("svg")?.remove();
  host.append(picture);
  // only what stands in the page has a width
  titles.forEach((text) => fit(text, text.firstChild, width / nColumns - LABEL_GAP_PX));
  nodes.forEach((node, i) => {
    const isAtEdge = places[i].column === 0 || places[i].column === nColumns - 1;
    const roomPx = isAtEdge ? labelPx : stepPx - BAR_PX;
    fit(node.querySelector("text"), node.querySelector(".label"), roomPx - LABEL_GAP_PX);
  });
}

export default function draw(component) {
  const { data, parentElement } = component;
  const host = parentElement.querySelector(".flow");
  host.replaceChildren(saveButton(() => saveSvg(host.querySelector("svg"), data.file_name)));
  return drawAtEveryWidth(host, () => render(host, component));
}
