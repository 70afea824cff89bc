// A list of clips that play. It stands behind shared_player.js, whose one <audio> every list on the page shares.

const SEEK_STEP_S = 0.5;

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

function clock(seconds) {
  if (seconds < 60) return `${Math.max(0, seconds).toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function buildPlayButton(clip, player) {
  const button = element("button", "play");
  button.type = "button";
  button.innerHTML =
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path class="icon-play" d="M8 5.2v13.6L19 12z"/>' +
    '<path class="icon-pause" d="M7 5h3.6v14H7zM13.4 5H17v14h-3.6z"/></svg>';
  if (clip.problem) {
    button.disabled = true;
    button.title = clip.problem;
  }
  button.setAttribute("aria-label", `Play ${clip.title}`);
  button.setAttribute("aria-pressed", "false");
  button.onclick = () => player.toggle(clip.url);
  return button;
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
    const share = Math.min(0.995, Math.max(0, (event.clientX - box.left) / box.width));
    player.queue = [];
    player.start(clip.url, share * clip.duration_s);
  };
  return picture;
}

function buildCompare(clip, component) {
  const { kept, is_fixed: isFixed } = component.data;
  const isKept = clip.clip === kept;
  const button = element("button", "compare");
  button.type = "button";
  button.innerHTML =
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M7 4 3 8l4 4V9h10V7H7zm10 8v3H7v2h10v3l4-4z"/></svg>';
  const words =
    kept && !isKept ? `Compare with ${kept}` : isKept ? "Kept to compare; click to let go" : "Compare with …";
  button.title = words;
  button.setAttribute("aria-label", `${words}: ${clip.title}`);
  if (!isFixed) button.setAttribute("aria-pressed", String(isKept));
  button.onclick = () => component.setTriggerValue("compared", clip.clip);
  return button;
}

function buildHeading(clip, component) {
  const heading = element("div", "heading");
  if (clip.href) {
    const link = element("a", "title", clip.title);
    link.href = clip.href;
    link.title = `Open ${clip.title}`;
    link.onclick = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      showInPage(component.data.shows_in);
      component.setTriggerValue("opened", clip.opens);
    };
    heading.append(link);
  } else {
    const title = element("span", "title", clip.title);
    title.title = clip.title;
    heading.append(title);
  }
  heading.append(element("span", "time", clock(clip.duration_s)));
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
  bar.style.width = `${Math.round(100 * Math.min(1, Math.max(0, clip.share)))}%`;
  track.append(bar);
  measure.append(track, element("span", "value", clip.value_text));
  return measure;
}

function buildCard(clip, component, player) {
  const root = element("div", clip.problem ? "card broken" : "card");
  root.setAttribute("role", "listitem");
  root.setAttribute("aria-label", [clip.title, ...clip.chips].join(", "));
  root.dataset.opens = clip.opens;
  const button = buildPlayButton(clip, player);
  const picture = buildPicture(clip, player);
  const chips = element("div", "chips");
  clip.chips.forEach((text) => chips.append(element("span", "chip", text)));
  if (clip.note) chips.append(element("span", "chip note", clip.note));
  const words = element("div", "words");
  words.append(buildHeading(clip, component), chips);
  root.append(button, picture, words);
  if (clip.value_text) root.append(buildMeasure(clip));

  const time = root.querySelector(".time");
  const show = ({ audio, url, failed }) => {
    const isMine = url !== null && url === clip.url;
    const isPlaying = isMine && !audio.paused;
    const share = isMine && audio.duration ? audio.currentTime / audio.duration : 0;
    root.classList.toggle("current", isMine);
    root.classList.toggle("playing", isPlaying);
    root.style.setProperty("--played", `${100 * share}%`);
    button.setAttribute("aria-pressed", String(isPlaying));
    button.setAttribute("aria-label", `${isPlaying ? "Pause" : "Play"} ${clip.title}`);
    time.textContent = isMine && share > 0 && share < 1 ? clock(audio.currentTime) : clock(clip.duration_s);
    root.classList.toggle("failed", failed !== null && failed === clip.url);
  };
  return { url: clip.url, root, button, show };
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
  const button = element("button", "play-all", "Play all");
  button.type = "button";
  button.disabled = urls.length === 0;
  button.setAttribute("aria-label", `Play all clips of ${data.label}, one after another`);
  button.onclick = () => {
    player.queue = urls.slice(1);
    player.start(urls[0], 0);
  };
  return button;
}

export default function (component) {
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
    const header = element("div", "header");
    header.append(element("span", "label", data.label), element("span", "help", data.help));
    if (cards.length > 1) header.append(buildPlayAll(cards, data, player));
    host.append(header);
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
