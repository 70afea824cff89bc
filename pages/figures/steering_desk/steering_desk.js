// Sliders for steered latents, and similarities by trial group that follow while one is dragged.
// One message is on its way at a time: the next leaves when the figure for the last has come back.

const SVG = "http://www.w3.org/2000/svg";
const MODES = [
  ["ablate", "off"],
  ["scale", "scale"],
  ["set", "set"],
];
const STEPS = 200;
const MAX_SCALE = 3;
const MAX_SET = 1.5;
const ROW_HEIGHT = 74;
const AXIS_HEIGHT = 34;
const GIVE_UP_MS = 2000;
const TICK_STEPS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  if (text !== undefined) node.textContent = text;
  return node;
}

const limitOf = (row) => (row.mode === "set" ? MAX_SET * row.highest : MAX_SCALE);
const amountText = (row) =>
  row.mode === "ablate" ? "0" : row.mode === "scale" ? `× ${row.amount.toFixed(2)}` : row.amount.toFixed(2);
const asText = (row) =>
  row.mode === "ablate"
    ? `${row.latent}`
    : `${row.latent}${row.mode === "scale" ? "x" : "="}${row.amount.toFixed(3)}`;

function send(desk, event) {
  desk.tick += 1;
  const message = { changes: desk.rows.map(asText).join(","), tick: desk.tick };
  if (event === "settled") {
    desk.waiting = null;
    desk.component.setTriggerValue("settled", message);
  } else if (desk.sent !== null && performance.now() - desk.sentAt < GIVE_UP_MS) {
    desk.waiting = message;
    return;
  } else {
    desk.component.setStateValue("moved", message);
  }
  desk.sent = desk.tick;
  desk.sentAt = performance.now();
}

function receive(desk, tick) {
  if (desk.sent === null || tick < desk.sent) return;
  desk.sent = null;
  if (!desk.waiting) return;
  const message = desk.waiting;
  desk.waiting = null;
  desk.sent = message.tick;
  desk.sentAt = performance.now();
  desk.component.setStateValue("moved", message);
}

function buildModes(desk, row, refresh) {
  const modes = element("div", "modes");
  modes.setAttribute("role", "radiogroup");
  modes.setAttribute("aria-label", `How to change ${row.label}`);
  MODES.forEach(([mode, words]) => {
    const button = element("button", "mode", words);
    button.type = "button";
    button.setAttribute("role", "radio");
    button.dataset.mode = mode;
    button.onclick = () => {
      if (row.mode === mode) return;
      row.mode = mode;
      row.amount = mode === "set" ? row.highest : mode === "scale" ? 1 : 0;
      refresh();
      send(desk, "settled");
    };
    modes.append(button);
  });
  return modes;
}

function buildRange(desk, row, refresh) {
  const range = element("input", "range");
  range.type = "range";
  range.min = 0;
  range.max = STEPS;
  range.setAttribute("aria-label", `Amount of ${row.label}`);
  range.oninput = () => {
    desk.isDragging = true;
    if (row.mode === "ablate") row.mode = "scale";
    row.amount = (limitOf(row) * Number(range.value)) / STEPS;
    refresh();
    send(desk, "moved");
  };
  range.onchange = () => {
    desk.isDragging = false;
    send(desk, "settled");
  };
  return range;
}

function buildRow(desk, row) {
  const node = element("div", "row");
  node.dataset.latent = row.latent;
  const link = element("a", "name", row.label);
  link.href = row.href;
  link.title = row.help;
  link.onclick = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    desk.component.setTriggerValue("opened", row.latent);
  };
  const value = element("output", "amount");
  const remove = element("button", "remove", "×");
  remove.type = "button";
  remove.title = `Stop steering ${row.label}`;
  remove.setAttribute("aria-label", remove.title);
  remove.onclick = () => {
    desk.rows = desk.rows.filter((other) => other !== row);
    node.remove();
    send(desk, "settled");
  };
  const refresh = () => {
    range.value = row.mode === "ablate" ? 0 : Math.round((STEPS * row.amount) / limitOf(row));
    const neutral = row.mode === "scale" ? 1 / MAX_SCALE : row.mode === "set" ? 1 / MAX_SET : null;
    mark.hidden = neutral === null;
    if (neutral !== null) mark.style.left = `calc(8px + (100% - 16px) * ${neutral})`;
    mark.title = row.mode === "scale" ? "as it is" : "the highest of any clip";
    value.textContent = amountText(row);
    modes.querySelectorAll(".mode").forEach((button) => {
      button.setAttribute("aria-checked", String(button.dataset.mode === row.mode));
    });
  };
  row.refresh = refresh;
  const modes = buildModes(desk, row, refresh);
  const range = buildRange(desk, row, refresh);
  const track = element("div", "track");
  const mark = element("span", "mark");
  track.append(mark, range);
  node.append(link, modes, remove, track, value);
  refresh();
  return node;
}

function drawRows(desk, rows) {
  if (desk.isDragging) return;
  const isSame =
    rows.length === desk.rows.length &&
    rows.every((row, i) => row.label === desk.rows[i].label && row.href === desk.rows[i].href);
  if (isSame && rows.length) {
    // the same sliders stay, so that the one in hand keeps the focus
    rows.forEach((row, i) => {
      desk.rows[i].mode = row.mode;
      desk.rows[i].amount = row.amount;
      desk.rows[i].refresh();
    });
    return;
  }
  desk.rows = rows.map((row) => ({ ...row }));
  desk.sliders.replaceChildren(...desk.rows.map((row) => buildRow(desk, row)));
  if (!rows.length)
    desk.sliders.append(element("div", "empty", "Nothing is steered. Add a latent, or take a preset."));
}

function outline(shares, place, closed) {
  // steps along the tops of the bins
  const width = place.width / shares.length;
  let path = `M${place.x} ${place.base}`;
  shares.forEach((share, i) => {
    const y = (place.base - share * place.scale).toFixed(1);
    path += `L${(place.x + i * width).toFixed(1)} ${y}H${(place.x + (i + 1) * width).toFixed(1)}`;
  });
  return `${path}L${place.x + place.width} ${place.base}${closed ? "Z" : ""}`;
}

function drawAxis(svg, data, place, y) {
  const isRelative = data.low < 0 && data.high === -data.low && data.threshold === null;
  const span = data.high - data.low;
  const step = TICK_STEPS.find((size) => span / size <= Math.max(4, place.width / 70)) || 1;
  for (let n = Math.ceil(data.low / step - 1e-9); n <= data.high / step + 1e-9; n += 1) {
    const value = n === 0 ? 0 : n * step;
    const x = place.x + (place.width * (value - data.low)) / span;
    svg.append(shape("line", { class: "grid", x1: x, x2: x, y1: 0, y2: y }));
    const digits = isRelative ? (step < 0.01 ? 1 : 0) : step < 0.1 ? 2 : 1;
    const shown = isRelative
      ? `${value > 0 ? "+" : ""}${(100 * value).toFixed(digits)} %`
      : value.toFixed(digits);
    svg.append(
      shape("text", { class: "tick", x, y: y + 14, "text-anchor": "middle" }, shown.replace("-", "−")),
    );
  }
  const words = isRelative ? "relative change of similarity" : "cosine similarity of a pair of clips";
  svg.append(
    shape("text", { class: "axis", x: place.x + place.width / 2, y: y + 30, "text-anchor": "middle" }, words),
  );
  return isRelative;
}

function drawGroup(svg, group, data, place, isRelative) {
  const x = (value) =>
    place.x + place.width * Math.min(1, Math.max(0, (value - data.low) / (data.high - data.low)));
  const top = Math.max(...group.before.map((share) => (isRelative ? 0 : share)), ...group.after, 1e-9);
  const here = { ...place, scale: (ROW_HEIGHT - 24) / top };
  const parts = shape("g", {
    class: "group",
    role: "img",
    "aria-label": `${group.name}: mean ${group.mean_before.toFixed(3)} before, ${group.mean_after.toFixed(3)} after`,
  });
  if (!isRelative) parts.append(shape("path", { class: "before", d: outline(group.before, here, true) }));
  parts.append(shape("path", { class: "after", d: outline(group.after, here, true) }));
  parts.append(
    shape("line", { class: "base", x1: place.x, x2: place.x + place.width, y1: place.base, y2: place.base }),
  );
  const mean = (value, className) =>
    parts.append(
      shape("line", {
        class: className,
        x1: x(value),
        x2: x(value),
        y1: place.base,
        y2: place.base - ROW_HEIGHT + 26,
      }),
    );
  mean(group.mean_before, "mean-before");
  mean(group.mean_after, "mean-after");
  const signed = (value) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(isRelative ? 1 : 3)}`;
  const shift = isRelative
    ? `${signed(100 * group.mean_after)} %`
    : signed(group.mean_after - group.mean_before);
  const words = shape(
    "text",
    { class: "label", x: place.x + 2, y: place.base - ROW_HEIGHT + 18 },
    group.name,
  );
  words.append(shape("tspan", { class: "count", dx: 6 }, `${group.n.toLocaleString("en")} pairs`));
  parts.append(words);
  parts.append(
    shape(
      "text",
      { class: "shift", x: place.x + place.width - 2, y: place.base - ROW_HEIGHT + 18, "text-anchor": "end" },
      `mean ${shift}`,
    ),
  );
  svg.append(parts);
}

function drawFigure(desk, data) {
  const width = Math.max(280, desk.figure.clientWidth);
  const height = ROW_HEIGHT * data.groups.length + AXIS_HEIGHT;
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "group",
    "aria-label": "Similarities before and after steering",
  });
  const place = { x: 24, width: width - 48 };
  const isRelative = drawAxis(svg, data, place, height - AXIS_HEIGHT);
  data.groups.forEach((group, i) => {
    drawGroup(svg, group, data, { ...place, base: (i + 1) * ROW_HEIGHT - 1 }, isRelative);
  });
  if (data.threshold !== null) {
    const x = place.x + (place.width * (data.threshold - data.low)) / (data.high - data.low);
    const line = shape("line", { class: "threshold", x1: x, x2: x, y1: 0, y2: height - AXIS_HEIGHT });
    line.append(shape("title", {}, `threshold ${data.threshold.toFixed(3)}`));
    svg.append(line);
  }
  desk.figure.replaceChildren(svg);
  desk.legend.replaceChildren(
    ...(isRelative ? [] : [element("span", "key-before", "before")]),
    element("span", "key-after", isRelative ? "change" : "after"),
    ...(data.threshold === null ? [] : [element("span", "key-threshold", "accepted from here")]),
    ...(data.note ? [element("span", "note", data.note)] : []),
  );
}

function saveFigure(desk) {
  // styles live in the page's sheet: a file needs them on its elements
  const svg = desk.figure.querySelector("svg");
  const copy = svg.cloneNode(true);
  const nodes = [...svg.querySelectorAll("*")];
  [...copy.querySelectorAll("*")].forEach((node, i) => {
    const style = getComputedStyle(nodes[i]);
    [
      "fill",
      "fill-opacity",
      "stroke",
      "stroke-width",
      "stroke-dasharray",
      "font-size",
      "font-weight",
      "font-family",
    ].forEach((name) => {
      node.setAttribute(name, style.getPropertyValue(name));
    });
  });
  copy.setAttribute("xmlns", SVG);
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([copy.outerHTML], { type: "image/svg+xml" }));
  link.download = "voxscope-steering.svg";
  link.click();
  URL.revokeObjectURL(link.href);
}

function buildDesk(host) {
  const desk = { rows: [], tick: 0, sent: null, sentAt: 0, waiting: null, isDragging: false, drawnAt: 0 };
  desk.sliders = element("div", "sliders");
  const right = element("div", "right");
  const header = element("div", "legend-line");
  desk.legend = element("div", "legend");
  const save = element("button", "save", "SVG");
  save.type = "button";
  save.title = "Save this figure";
  save.onclick = () => saveFigure(desk);
  header.append(desk.legend, save);
  desk.figure = element("div", "figure");
  right.append(header, desk.figure);
  host.replaceChildren(desk.sliders, right);
  return desk;
}

export default function (component) {
  const { data, parentElement } = component;
  const host = parentElement.querySelector(".desk");
  if (!host.desk) host.desk = buildDesk(host);
  const desk = host.desk;
  desk.component = component;
  desk.tick = Math.max(desk.tick, data.tick);
  drawRows(desk, data.rows);
  drawFigure(desk, data);
  receive(desk, data.tick);
  desk.drawnAt = desk.figure.clientWidth;
  const observer = new ResizeObserver(() => {
    if (Math.abs(desk.figure.clientWidth - desk.drawnAt) < 2) return;
    desk.drawnAt = desk.figure.clientWidth;
    drawFigure(desk, data);
  });
  observer.observe(desk.figure);
  return () => observer.disconnect();
}
