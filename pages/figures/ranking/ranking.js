// A ranked list of named bars; a name may be a link that opens in place on a plain click.

import { element, header, onPlainClick, showInPage } from "../dom.js";

const percent = (fraction) => `${(100 * Math.min(1, Math.max(0, fraction))).toFixed(2)}%`;

function buildName(bar, component) {
  if (!bar.href) return element("span", "name", bar.label);
  const link = element("a", "name", bar.label);
  link.href = bar.href;
  onPlainClick(link, () => {
    showInPage(component.data.shows_in);
    component.setTriggerValue("opened", bar.opens);
  });
  return link;
}

function buildBar(bar, component) {
  const row = element("div", `bar-row ${bar.tone}`);
  row.setAttribute("role", "listitem");
  if (bar.help) row.title = bar.help;
  const words = element("div", "words");
  words.append(buildName(bar, component));
  if (bar.detail) words.append(element("span", "detail", bar.detail));
  const track = element("div", "track");
  const fill = element("div", "fill");
  fill.style.width = percent(bar.filled);
  track.append(fill);
  if (bar.marker !== null) {
    const marker = element("div", "marker");
    marker.style.left = percent(bar.marker);
    track.append(marker);
  }
  row.append(words, track, element("span", "value", bar.value_text));
  return row;
}

export default function draw(component) {
  const { data, parentElement } = component;
  const host = parentElement.querySelector(".ranking");
  host.replaceChildren();
  if (data.label) {
    host.append(header(data.label, data.help, data.level));
  }
  if (!data.bars.length) host.append(element("div", "empty", data.empty));
  const list = element("div", "bars");
  list.setAttribute("role", "list");
  if (data.label) list.setAttribute("aria-label", data.label);
  data.bars.forEach((bar) => list.append(buildBar(bar, component)));
  host.append(list);
}
