// The one <audio> of a page: whatever plays goes through it, so two sounds never play at once.

import { button, svg } from "../dom.js";

const STORE = "__voxscopePlayer";
const NO_CARD_GRACE_MS = 400;
const MAX_KEPT = 12;
const PLAY = "M8 5.2v13.6L19 12z";
const PAUSE = "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z";

// Sounds by their addresses, each asked for once and whole: a browser left to itself asks for the rest of a file when its
// page, and with it the file, may be gone.
class Sounds {
  kept = new Map();

  fetched(url) {
    const found = this.kept.get(url) ?? asked(url);
    this.kept.delete(url);
    this.kept.set(url, found);
    found.catch(() => this.kept.delete(url));
    if (this.kept.size > MAX_KEPT) this.letGo(this.kept.keys().next().value);
    return found;
  }

  letGo(url) {
    this.kept.get(url).then(URL.revokeObjectURL, () => null);
    this.kept.delete(url);
  }
}

async function asked(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return URL.createObjectURL(await answer.blob());
}

class Player {
  audio = new Audio();
  sounds = new Sounds();
  url = null;
  // the address whose sound the audio element holds
  loaded = null;
  // the start that waits for its sound
  waiting = null;
  cards = new Set();
  queue = [];
  failed = null;
  isEarly = false;

  constructor() {
    const { audio } = this;
    audio.preload = "auto";
    const tick = () => {
      this.show();
      if (!audio.paused) requestAnimationFrame(tick);
    };
    audio.addEventListener("play", () => requestAnimationFrame(tick));
    ["pause", "seeked", "loadedmetadata"].forEach((name) => audio.addEventListener(name, () => this.show()));
    audio.addEventListener("error", () => {
      if (!this.url) return;
      this.failed = this.url;
      this.show();
    });
    audio.addEventListener("ended", () => {
      const next = this.queue.shift();
      if (next && this.isShown(next)) this.start(next, 0);
      else this.show();
    });
  }

  show() {
    this.cards.forEach((card) => card.show(this));
  }

  isShown(url) {
    return [...this.cards].some((card) => card.url === url);
  }

  start(url, from) {
    this.isEarly = false;
    this.url = url;
    this.waiting = null;
    if (this.loaded === url) {
      this.playFrom(from);
      return;
    }
    this.audio.pause();
    this.failed = null;
    const waiting = (this.waiting = {});
    this.sounds.fetched(url).then(
      (address) => this.waiting === waiting && this.begin(address, from),
      () => this.waiting === waiting && this.fail(),
    );
    this.show();
  }

  begin(address, from) {
    this.waiting = null;
    this.loaded = this.url;
    this.audio.src = address;
    this.playFrom(from);
    if (this.queue.length) this.sounds.fetched(this.queue[0]).catch(() => null);
  }

  playFrom(from) {
    const { audio } = this;
    if (from !== null) {
      if (audio.readyState > 0) audio.currentTime = from;
      else audio.addEventListener("loadedmetadata", () => (audio.currentTime = from), { once: true });
    }
    audio.play().catch(() => this.show());
    this.show();
  }

  fail() {
    this.waiting = null;
    this.failed = this.url;
    this.audio.dispatchEvent(new Event("failed"));
    this.show();
  }

  // Before there is a card that shows it: no card that leaves may end it.
  startEarly(url) {
    this.start(url, 0);
    this.isEarly = true;
  }

  // What sounds goes by another address from now on: that of the card that shows it.
  rename(url) {
    this.isEarly = false;
    if (!this.waiting) this.loaded = url;
    this.url = url;
    this.show();
  }

  toggle(url) {
    this.queue = [];
    if (this.url === url && !this.audio.paused) this.audio.pause();
    else this.start(url, this.url === url && !this.audio.ended ? null : 0);
  }

  leave(card) {
    this.cards.delete(card);
    setTimeout(() => {
      if (this.isEarly || this.isShown(this.url)) return;
      // between two clips of a queue nothing sounds, and the next must not begin either
      this.queue = [];
      this.audio.pause();
      this.waiting = null;
    }, NO_CARD_GRACE_MS);
  }
}

// Every figure of a page has this module for itself; the player they share stands in the window.
export function sharedPlayer() {
  return (window[STORE] ||= new Player());
}

export function playButton(act) {
  const icon = svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  icon.append(svg("path", { class: "icon-play", d: PLAY }), svg("path", { class: "icon-pause", d: PAUSE }));
  const made = button("play", null, act);
  made.append(icon);
  return made;
}

export function tellPlaying(playing, isPlaying, title) {
  playing.setAttribute("aria-pressed", String(isPlaying));
  playing.setAttribute("aria-label", `${isPlaying ? "Pause" : "Play"} ${title}`);
}
