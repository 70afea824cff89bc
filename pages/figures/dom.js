// What every figure is built with: elements, links that open in place, redrawing on a new width, files to save.

import { plainColour } from "./colours.js";

const SVG = "http://www.w3.org/2000/svg";
const BELOW_HEADER_PX = "76px";
const SAVED_TAGS = new Set(["circle", "line", "path", "polygon", "rect", "text", "tspan"]);
const SAVED_STYLES = [
  "stroke-width",
  "stroke-dasharray",
  "stroke-linejoin",
  "opacity",
  "font-size",
  "font-weight",
  "font-style",
  "font-family",
];

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

export function svg(tag, attributes = {}, text = undefined) {
  const made = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  if (text !== undefined) made.textContent = text;
  return made;
}

export function button(className, text, act) {
  const made = element("button", className, text);
  made.type = "button";
  made.onclick = act;
  return made;
}

// The line above a list: what it holds, and how to read it. level: of its heading among those of the page.
export function header(label, help, level) {
  const made = element("div", "header");
  if (label) made.append(element(`h${level}`, "label", label));
  made.append(element("span", "help", help));
  return made;
}

// A plain click acts here; with a modifier or another button the link opens as the browser's links do.
export function onPlainClick(link, act) {
  link.onclick = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    act();
  };
}

// A click that changes the page it stands on brings the part that changes into view.
export function showInPage(key, block = "start") {
  const part = key && document.querySelector(`.st-key-${CSS.escape(key)}`);
  if (!part) return;
  part.style.scrollMarginTop = BELOW_HEADER_PX;
  part.scrollIntoView({ behavior: "smooth", block });
}

// Draws now and whenever the width has changed; returns what ends it. Another drawing into the same node ends it too:
// given new data, a component is drawn again, and nobody calls what its last drawing returned.
export function drawAtEveryWidth(node, draw) {
  node.endDrawing?.();
  draw();
  let drawnAt = node.clientWidth;
  const observer = new ResizeObserver(() => {
    if (Math.abs(node.clientWidth - drawnAt) < 2) return;
    drawnAt = node.clientWidth;
    draw();
  });
  observer.observe(node);
  node.endDrawing = () => observer.disconnect();
  return node.endDrawing;
}

export function clock(seconds, digits = 1) {
  if (seconds < 60) return `${Math.max(0, seconds).toFixed(digits)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

export function saveButton(save) {
  const made = button("save", "SVG", save);
  made.title = "Save this figure";
  return made;
}

export function download(address, fileName) {
  const link = element("a");
  link.href = address;
  link.download = fileName;
  link.click();
}

export function saveSvg(picture, fileName) {
  const address = URL.createObjectURL(new Blob([standaloneSvg(picture)], { type: "image/svg+xml" }));
  download(address, fileName);
  URL.revokeObjectURL(address);
}

// The text of a figure that looks the same without the page's style sheets, in colours that every vector tool reads.
export function standaloneSvg(picture) {
  const copy = picture.cloneNode(true);
  const drawn = picture.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, i) => writeStyle(node, getComputedStyle(drawn[i])));
  copy.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(copy);
}

function writeStyle(node, style) {
  // a link leads to a page of the app that drew it: there is none beside a file
  ["class", "href", "tabindex"].forEach((name) => node.removeAttribute(name));
  if (!SAVED_TAGS.has(node.tagName)) return;
  ["fill", "stroke"].forEach((name) => {
    const { paint, alpha } = plainColour(style.getPropertyValue(name));
    const opacity = alpha * Number(style.getPropertyValue(`${name}-opacity`));
    node.setAttribute(name, paint);
    if (paint !== "none" && opacity < 1) node.setAttribute(`${name}-opacity`, opacity.toFixed(3));
    else node.removeAttribute(`${name}-opacity`);
  });
  SAVED_STYLES.forEach((name) => node.setAttribute(name, style.getPropertyValue(name)));
}
