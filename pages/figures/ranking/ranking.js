// A ranked list of named bars; a name may be a link that opens in place on a plain click.

function showInPage(key) {
  // A link that changes the page it stands on brings the part that changes into view.
  const part = key && document.querySelector(`.st-key-${CSS.escape(key)}`);
  if (!part) return;
  part.style.scrollMarginTop = "76px";
  part.scrollIntoView({ behavior: "smooth", block: "start" });
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

const percent = (share) => `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;

function buildName(bar, component) {
  if (!bar.href) return element("span", "name", bar.label);
  const link = element("a", "name", bar.label);
  link.href = bar.href;
  link.onclick = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    showInPage(component.data.shows_in);
    component.setTriggerValue("opened", bar.opens);
  };
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
  fill.style.width = percent(bar.share);
  track.append(fill);
  if (bar.marker !== null) {
    const marker = element("div", "marker");
    marker.style.left = percent(bar.marker);
    track.append(marker);
  }
  row.append(words, track, element("span", "value", bar.value_text));
  return row;
}

export default function (component) {
  const { data, parentElement } = component;
  const host = parentElement.querySelector(".ranking");
  host.replaceChildren();
  if (data.label) {
    const header = element("div", "header");
    header.append(element("span", "label", data.label), element("span", "help", data.help));
    host.append(header);
  }
  if (!data.bars.length) host.append(element("div", "empty", data.empty));
  const list = element("div", "bars");
  list.setAttribute("role", "list");
  if (data.label) list.setAttribute("aria-label", data.label);
  data.bars.forEach((bar) => list.append(buildBar(bar, component)));
  host.append(list);
}
