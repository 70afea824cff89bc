// A list of clips that play, one at a time.

import { button, clock, element, header, onPlainClick, showInPage, svg } from "../dom.js";
import { playButton, sharedPlayer, tellPlaying } from "./shared_player.js";

const SEEK_STEP_S = 0.5;
const COMPARE = "M7 4 3 8l4 4V9h10V7H7zm10 8v3H7v2h10v3l4-4z";

function melMask(base64, nMels, nFrames) {
  // An opaque-where-loud picture used as a CSS mask: colours then follow the theme without redrawing.
  // Kept out of the graphics card, from which reading it back would make the first picture wait for half a second.
  const canvas = document.createElement("canvas");
  canvas.width = nFrames;
  canvas.height = nMels;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(nFrames, nMels);
  const bytes = atob(base64);
  for (let i = 0; i < bytes.length; i += 1) image.data[4 * i + 3] = bytes.charCodeAt(i);
  context.putImageData(image, 0, 0);
  return `url(${canvas.toDataURL()})`;
}

function buildPlayButton(clip, player) {
  const made = playButton(() => player.toggle(clip.url));
  if (clip.problem) {
    made.disabled = true;
    made.title = clip.problem;
  }
  return made;
}

function buildPicture(clip, player) {
  const picture = element("div", "picture");
  if (clip.mel) {
    const mask = melMask(clip.mel, clip.n_mels, clip.n_frames);
    ["base", "played"].forEach((name) => {
      const layer = element("div", `layer ${name}`);
      layer.style.maskImage = mask;
      layer.style.webkitMaskImage = mask;
      picture.append(layer);
    });
  }
  if (clip.problem) picture.append(element("div", "problem", clip.problem));
  picture.append(element("div", "cursor"));
  picture.onclick = (event) => {
    if (clip.problem) return;
    const box = picture.getBoundingClientRect();
    const fraction = Math.min(0.995, Math.max(0, (event.clientX - box.left) / box.width));
    player.queue = [];
    player.start(clip.url, fraction * clip.duration_s);
  };
  return picture;
}

function buildCompare(clip, component) {
  const { kept, is_fixed: isFixed } = component.data;
  const isKept = clip.clip === kept;
  const made = button("compare", null, () => component.setTriggerValue("compared", clip.clip));
  const icon = svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  icon.append(svg("path", { d: COMPARE }));
  made.append(icon);
  const words =
    kept && !isKept ? `Compare with ${kept}` : isKept ? "Kept to compare; click to let go" : "Compare with …";
  made.title = words;
  made.setAttribute("aria-label", `${words}: ${clip.title}`);
  if (!isFixed) made.setAttribute("aria-pressed", String(isKept));
  return made;
}

function buildHeading(clip, component) {
  const heading = element("div", "heading");
  if (clip.href) {
    const link = element("a", "title", clip.title);
    link.href = clip.href;
    link.title = `Open ${clip.title}`;
    onPlainClick(link, () => {
      showInPage(component.data.shows_in);
      component.setTriggerValue("opened", clip.opens);
    });
    heading.append(link);
  } else {
    const title = element("span", "title", clip.title);
    title.title = clip.title;
    heading.append(title);
  }
  heading.append(element("span", "time", clip.is_mute ? "" : clock(clip.duration_s)));
  if (clip.clip && !(component.data.is_fixed && clip.clip === component.data.kept)) {
    heading.append(buildCompare(clip, component));
  }
  return heading;
}

function buildMeasure(clip) {
  const measure = element("div", "measure");
  measure.title = clip.measure_help || "";
  const track = element("div", "track");
  const bar = element("div", "bar");
  bar.style.width = `${Math.round(100 * Math.min(1, Math.max(0, clip.filled)))}%`;
  track.append(bar);
  measure.append(track, element("span", "value", clip.value_text));
  return measure;
}

function buildCard(clip, component, player) {
  const root = element("div", clip.problem ? "card broken" : "card");
  root.setAttribute("role", "listitem");
  root.setAttribute("aria-label", [clip.title, ...clip.chips].join(", "));
  root.dataset.opens = clip.opens;
  const playing = buildPlayButton(clip, player);
  const picture = buildPicture(clip, player);
  const chips = element("div", "chips");
  clip.chips.forEach((text) => chips.append(element("span", "chip", text)));
  if (clip.note) chips.append(element("span", "chip note", clip.note));
  const words = element("div", "words");
  words.append(buildHeading(clip, component), chips);
  if (clip.is_mute) root.classList.add("mute");
  else root.append(playing, picture);
  root.append(words);
  if (clip.value_text) root.append(buildMeasure(clip));

  const time = root.querySelector(".time");
  const show = ({ audio, url, failed }) => {
    const isMine = url !== null && url === clip.url;
    const isPlaying = isMine && !audio.paused;
    const fraction = isMine && audio.duration ? audio.currentTime / audio.duration : 0;
    root.classList.toggle("current", isMine);
    root.classList.toggle("playing", isPlaying);
    root.style.setProperty("--played", `${100 * fraction}%`);
    tellPlaying(playing, isPlaying, clip.title);
    if (!clip.is_mute) {
      time.textContent =
        isMine && fraction > 0 && fraction < 1 ? clock(audio.currentTime) : clock(clip.duration_s);
    }
    root.classList.toggle("failed", failed !== null && failed === clip.url);
  };
  return { url: clip.url, root, button: playing, show };
}

function moveFocus(cards, event, player) {
  const at = cards.findIndex((card) => card.button === event.target);
  if (at < 0) return;
  const isBack = event.key === "ArrowLeft" || event.key === "ArrowUp";
  const isForward = event.key === "ArrowRight" || event.key === "ArrowDown";
  if (!isBack && !isForward) return;
  event.preventDefault();
  if (event.shiftKey) {
    if (player.url === cards[at].url) {
      player.audio.currentTime = Math.max(
        0,
        player.audio.currentTime + (isBack ? -SEEK_STEP_S : SEEK_STEP_S),
      );
    }
    return;
  }
  const usable = cards.filter((card) => !card.button.disabled);
  const next = usable[usable.indexOf(cards[at]) + (isBack ? -1 : 1)];
  if (next) next.button.focus();
}

function buildPlayAll(cards, data, player) {
  const urls = cards.filter((card) => !card.button.disabled).map((card) => card.url);
  const made = button("play-all", "Play all", () => {
    player.queue = urls.slice(1);
    player.start(urls[0], 0);
  });
  made.disabled = urls.length === 0;
  made.setAttribute("aria-label", `Play all clips of ${data.label}, one after another`);
  return made;
}

export default function draw(component) {
  const { data, parentElement } = component;
  const player = sharedPlayer();
  const host = parentElement.querySelector(".clip-list");
  host.replaceChildren();
  const list = element("div", `cards ${data.layout}`);
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", data.label || "Clips");
  const cards = data.clips.map((clip) => buildCard(clip, component, player));
  // drawn again with other clips, nobody calls what the last drawing returned: its cards are taken off here
  host.cards?.forEach((card) => player.cards.delete(card));
  host.cards = cards;
  if (data.label || data.help) {
    const head = header(data.label, data.help, data.level);
    if (data.clips.filter((clip) => !clip.is_mute).length > 1) head.append(buildPlayAll(cards, data, player));
    host.append(head);
  }
  if (!cards.length) host.append(element("div", "empty", data.empty));
  cards.forEach((card) => {
    list.append(card.root);
    player.cards.add(card);
    card.show(player);
  });
  list.onkeydown = (event) => moveFocus(cards, event, player);
  host.append(list);
  return () => cards.forEach((card) => player.leave(card));
}
