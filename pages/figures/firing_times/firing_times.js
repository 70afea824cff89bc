// When each latent is active: a waveform that plays, and under it a row per latent.

import { clock, drawAtEveryWidth, element, onPlainClick, svg } from "../dom.js";
import { playButton, sharedPlayer, tellPlaying } from "../player/shared_player.js";

const SEEK_STEP_S = 0.5;
const FAINTEST = 0.1;
const TICKS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120];
const MAX_TICKS = 12;
const TICK_PX = 44;

// Where one window hands over to the next: half-way between their middles, and at the ends of the sound.
function cellEdges(data) {
  const middles = data.starts_s.map((start, i) => (start + data.ends_s[i]) / 2);
  const between = middles.slice(1).map((middle, i) => (middle + middles[i]) / 2);
  return [0, ...between, data.duration_s];
}

function buildWave(data) {
  const wave = element("div", "wave");
  const peaks = Uint8Array.from(atob(data.peaks), (letter) => letter.charCodeAt(0));
  const top = Math.max(1, ...peaks);
  const upper = [...peaks].map((peak, i) => `${i},${50 - (48 * peak) / top}`);
  const lower = [...peaks].map((peak, i) => `${i},${50.6 + (48 * peak) / top}`).toReversed();
  ["base", "played"].forEach((name) => {
    const picture = svg("svg", {
      viewBox: `0 0 ${Math.max(1, peaks.length - 1)} 100.6`,
      preserveAspectRatio: "none",
      class: name,
      "aria-hidden": "true",
    });
    picture.append(svg("polygon", { points: [...upper, ...lower].join(" ") }));
    wave.append(picture);
  });
  return wave;
}

function buildCells(row, data, edges) {
  const picture = svg("svg", {
    viewBox: `0 0 ${data.duration_s} 1`,
    preserveAspectRatio: "none",
    class: "cells",
    "aria-hidden": "true",
  });
  row.values.forEach((value, i) => {
    if (!(value > 0) && !data.silent[i]) return;
    const cell = svg("rect", {
      x: edges[i],
      width: Math.max(0, edges[i + 1] - edges[i]),
      y: 0,
      height: 1,
    });
    if (value > 0)
      cell.setAttribute(
        "fill-opacity",
        (FAINTEST + (1 - FAINTEST) * Math.min(1, value / row.top)).toFixed(3),
      );
    else cell.setAttribute("class", "silent");
    picture.append(cell);
  });
  return picture;
}

function buildLabel(row, component) {
  const label = element("div", "label");
  const link = element("a", "name", row.label);
  link.href = row.href;
  link.title = row.help;
  onPlainClick(link, () => component.setTriggerValue("opened", row.opens));
  label.append(link);
  return label;
}

function drawAxis(axis, data) {
  const maxTicks = Math.max(1, Math.min(MAX_TICKS, axis.clientWidth / TICK_PX));
  const step = TICKS_S.find((each) => data.duration_s / each <= maxTicks) || TICKS_S.at(-1);
  const ticks = [];
  for (let at = 0; at < data.duration_s * 0.97; at += step) {
    const tick = element("span", "tick", clock(at, step < 1 ? 1 : 0));
    tick.style.left = `${(100 * at) / data.duration_s}%`;
    ticks.push(tick);
  }
  axis.replaceChildren(...ticks);
}

function words(row, data, at) {
  const span = `${data.starts_s[at].toFixed(1)}–${data.ends_s[at].toFixed(1)} s`;
  if (data.silent[at]) return `${span}: silence, no latent is active`;
  if (!row) return span;
  const value = row.values[at];
  const percent = Math.round((100 * value) / row.top);
  return value > 0
    ? `${row.label}\n${span} · activation ${value.toFixed(2)}, ${percent} % of its strongest clip`
    : `${row.label}\n${span} · silent`;
}

function watchPointer(plot, parts, data, player) {
  const { tip, pointer, edges } = parts;
  const timeOf = (event) => {
    const box = plot.getBoundingClientRect();
    return Math.min(0.999, Math.max(0, (event.clientX - box.left) / box.width)) * data.duration_s;
  };
  plot.onclick = (event) => {
    player.queue = [];
    player.start(data.url, timeOf(event));
  };
  plot.onpointermove = (event) => {
    const time = timeOf(event);
    const at = Math.min(data.starts_s.length - 1, Math.max(0, edges.findIndex((edge) => edge > time) - 1));
    const line = event.target.closest(".line");
    tip.textContent = words(line ? data.rows[Number(line.dataset.row)] : null, data, at);
    tip.classList.add("shown");
    pointer.classList.add("shown");
    pointer.style.left = `${(100 * time) / data.duration_s}%`;
    const box = plot.getBoundingClientRect();
    const x = event.clientX - box.left;
    tip.style.left = `${Math.max(0, Math.min(x + 12, box.width - tip.offsetWidth))}px`;
    const below = event.clientY - box.top + 18;
    tip.style.top = `${below + tip.offsetHeight > box.height ? below - tip.offsetHeight - 30 : below}px`;
  };
  plot.onpointerleave = () => [tip, pointer].forEach((part) => part.classList.remove("shown"));
  plot.onkeydown = (event) => {
    const step = { ArrowLeft: -SEEK_STEP_S, ArrowRight: SEEK_STEP_S }[event.key];
    if (event.key !== " " && step === undefined) return;
    event.preventDefault();
    if (step === undefined) player.toggle(data.url);
    else if (player.url === data.url) player.audio.currentTime = Math.max(0, player.audio.currentTime + step);
    else player.start(data.url, Math.max(0, step));
  };
}

function buildFigure(component, player) {
  const { data } = component;
  const root = element("div", "figure");
  const [side, plot] = [element("div", "side"), element("div", "plot")];
  const head = element("div", "head");
  const button = playButton(() => player.toggle(data.url));
  const time = element("span", "time");
  head.append(button, time);
  side.append(head);
  plot.append(buildWave(data));
  const edges = cellEdges(data);
  data.rows.forEach((row, i) => {
    if (!row.is_on_whole && (i === 0 || data.rows[i - 1].is_on_whole)) {
      side.append(element("div", "part-of", "only in parts"));
      plot.append(element("div", "part-of"));
    }
    side.append(buildLabel(row, component));
    const line = element("div", "line");
    line.dataset.row = i;
    line.append(buildCells(row, data, edges));
    plot.append(line);
  });
  const [axis, cursor, pointer, tip] = ["axis", "cursor", "pointer", "tip"].map((name) =>
    element("div", name),
  );
  plot.append(axis, cursor, pointer, tip);
  plot.tabIndex = 0;
  plot.setAttribute("role", "slider");
  plot.setAttribute("aria-label", `Position in ${data.title}`);
  plot.setAttribute("aria-valuemin", "0");
  plot.setAttribute("aria-valuemax", data.duration_s.toFixed(1));
  watchPointer(plot, { tip, pointer, edges }, data, player);
  root.append(side, plot);
  return { root, plot, axis, button, time, cursor };
}

export default function draw(component) {
  const { data, parentElement } = component;
  const player = sharedPlayer();
  const host = parentElement.querySelector(".firing-times");
  host.replaceChildren();
  // drawn again for another sound, nobody calls what the last drawing returned
  if (host.card) player.cards.delete(host.card);
  const { root, plot, axis, button, time, cursor } = buildFigure(component, player);
  const show = ({ audio, url, failed }) => {
    const isMine = url === data.url;
    const isPlaying = isMine && !audio.paused;
    const at = isMine ? Math.min(audio.currentTime, data.duration_s) : 0;
    root.classList.toggle("current", isMine);
    root.classList.toggle("playing", isPlaying);
    root.style.setProperty("--played", `${(100 * at) / data.duration_s}%`);
    cursor.style.left = `${(100 * at) / data.duration_s}%`;
    plot.setAttribute("aria-valuenow", at.toFixed(1));
    tellPlaying(button, isPlaying, data.title);
    time.textContent =
      failed !== null && failed === data.url
        ? "cannot be played"
        : isMine && at > 0
          ? clock(at)
          : clock(data.duration_s);
  };
  host.card = { url: data.url, show };
  player.cards.add(host.card);
  show(player);
  host.append(root);
  const mine = host.card;
  const end = drawAtEveryWidth(axis, () => drawAxis(axis, data));
  return () => {
    end();
    player.leave(mine);
  };
}
