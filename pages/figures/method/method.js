// e → v → ê for one clip: two grids of numbers and the stems of the active latents between them, all in the theme's colours.

import { drawAtEveryWidth, onPlainClick, svg } from "../dom.js";

const HEIGHT = 236;
const GRID_COLUMNS = 16;
const LABEL_HEIGHT = 34;
const BASE_Y = 196;
const LABEL_WIDTH = 84;
const NARROW_PX = 480;
const CAPTION_PX = 18;

function drawGrid(picture, values, box, title, scale) {
  const group = svg("g", { class: "grid", role: "img", "aria-label": title });
  group.append(svg("title", {}, title));
  const rows = Math.ceil(values.length / GRID_COLUMNS);
  const width = box.width / GRID_COLUMNS;
  const height = box.height / rows;
  values.forEach((value, i) => {
    group.append(
      svg("rect", {
        x: box.x + (i % GRID_COLUMNS) * width,
        y: box.y + Math.floor(i / GRID_COLUMNS) * height,
        width: width - 0.6,
        height: height - 0.6,
        rx: 1,
        class: value < 0 ? "negative" : "positive",
        "fill-opacity": (0.06 + 0.94 * Math.min(1, Math.abs(value) / scale)).toFixed(3),
      }),
    );
  });
  picture.append(group);
}

function drawArrow(picture, from, to, y, label) {
  picture.append(
    svg("path", { class: "arrow", d: `M${from} ${y}H${to - 1}M${to - 7} ${y - 5}L${to} ${y}l-7 5` }),
  );
  picture.append(
    svg("text", { class: "step", x: (from + to) / 2, y: y - 9, "text-anchor": "middle" }, label),
  );
}

function drawStem(picture, stem, place, component) {
  const { x, top, slot } = place;
  const group = svg(stem.label ? "a" : "g", { class: stem.label ? "stem named" : "stem" });
  group.append(svg("title", {}, `${stem.help}: activation ${stem.activation.toFixed(3)}`));
  group.append(
    svg("line", { x1: x, x2: x, y1: BASE_Y, y2: top }),
    svg("circle", { cx: x, cy: top, r: stem.label ? 4 : 2.6 }),
  );
  if (stem.label) {
    group.setAttribute("href", stem.href);
    group.setAttribute("aria-label", `Open latent ${stem.help}`);
    group.append(
      svg("path", {
        class: "leader",
        d: `M${x} ${top - 5}V${LABEL_HEIGHT + 22}L${slot} ${LABEL_HEIGHT + 4}`,
      }),
    );
    group.append(svg("text", { class: "name", x: slot, y: 15, "text-anchor": "middle" }, stem.label));
    group.append(svg("text", { class: "number", x: slot, y: 30, "text-anchor": "middle" }, stem.number));
    onPlainClick(group, () => component.setTriggerValue("opened", stem.latent));
  }
  picture.append(group);
}

function spaced(places, low, high) {
  // Push labels apart from left to right, then back from the right edge: each stays as near its stem as it can.
  const slots = places.map((x) => Math.min(high, Math.max(low, x)));
  for (let i = 1; i < slots.length; i += 1) slots[i] = Math.max(slots[i], slots[i - 1] + LABEL_WIDTH);
  for (let i = slots.length - 1; i >= 0; i -= 1) {
    slots[i] = Math.min(slots[i], i === slots.length - 1 ? high : slots[i + 1] - LABEL_WIDTH);
  }
  return slots;
}

function drawStems(picture, data, box, component) {
  picture.append(svg("line", { class: "axis", x1: box.x, x2: box.x + box.width, y1: BASE_Y, y2: BASE_Y }));
  const highest = Math.max(...data.stems.map((stem) => stem.activation), 1e-9);
  const nLabels = Math.max(1, Math.min(6, Math.floor(box.width / LABEL_WIDTH)));
  const byWorth = data.stems.toSorted((a, b) => b.is_named - a.is_named || b.activation - a.activation);
  const named = byWorth.slice(0, nLabels).toSorted((a, b) => a.latent - b.latent);
  const xOf = (stem) => box.x + (box.width * (stem.latent + 0.5)) / data.n_latents;
  const slots = spaced(named.map(xOf), box.x + LABEL_WIDTH / 2, box.x + box.width - LABEL_WIDTH / 2);
  data.stems.toReversed().forEach((stem) => {
    const isNamed = named.includes(stem);
    const x = xOf(stem);
    const top = BASE_Y - (BASE_Y - LABEL_HEIGHT - 26) * (stem.activation / highest);
    drawStem(
      picture,
      isNamed ? stem : { ...stem, label: "" },
      { x, top, slot: isNamed ? slots[named.indexOf(stem)] : x },
      component,
    );
  });
}

function draw(host, data, component) {
  const width = Math.max(320, host.clientWidth);
  const side = Math.min(132, Math.max(76, width * 0.13));
  const gap = Math.min(84, Math.max(52, width * 0.075));
  const height = HEIGHT + (width < NARROW_PX ? CAPTION_PX : 0);
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "group",
    "aria-label": data.label,
  });
  const left = { x: 0, y: BASE_Y - side, width: side, height: side };
  const right = { ...left, x: width - side };
  const middle = { x: side + gap, width: width - 2 * (side + gap) };
  const scale = Math.max(...data.embedding.map(Math.abs), 1e-9);
  drawGrid(picture, data.embedding, left, "The embedding, one square per number", scale);
  drawArrow(picture, side + 10, side + gap - 10, BASE_Y - side / 2, "encode");
  drawStems(picture, data, middle, component);
  drawArrow(picture, middle.x + middle.width + 10, width - side - 10, BASE_Y - side / 2, "decode");
  drawGrid(picture, data.reconstruction, right, "The embedding as the SAE rebuilds it", scale);
  const caption = (x, anchor, symbol, words) => {
    // three captions fill one line only where there is room for them
    const y = (anchor === "middle" ? height : HEIGHT) - 14;
    const text = svg("text", { class: "caption", x, y, "text-anchor": anchor });
    text.append(svg("tspan", { class: "symbol" }, symbol), svg("tspan", { dx: 5 }, words));
    picture.append(text);
  };
  caption(0, "start", "e", data.embedding_caption);
  caption(middle.x + middle.width / 2, "middle", "v", data.code_caption);
  caption(width, "end", "ê", data.reconstruction_caption);
  host.replaceChildren(picture);
}

export default function drawFigure(component) {
  const { data, parentElement } = component;
  const host = parentElement.querySelector(".method");
  return drawAtEveryWidth(host, () => draw(host, data, component));
}
