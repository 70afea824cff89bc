// The one <audio> of a page: whatever plays goes through it, so two sounds never play at once.

const STORE = "__voxscopePlayer";
const NO_CARD_GRACE_MS = 400;

function sharedPlayer() {
  if (window[STORE]) return window[STORE];
  const audio = new Audio();
  audio.preload = "auto";
  const player = { audio, url: null, cards: new Set(), queue: [], failed: null, isEarly: false };
  const show = () => player.cards.forEach((card) => card.show(player));
  const tick = () => {
    show();
    if (!audio.paused) requestAnimationFrame(tick);
  };
  audio.addEventListener("play", () => requestAnimationFrame(tick));
  ["pause", "seeked", "loadedmetadata"].forEach((name) => audio.addEventListener(name, show));
  audio.addEventListener("error", () => {
    if (!player.url) return;
    player.failed = player.url;
    show();
  });
  const isShown = (url) => [...player.cards].some((card) => card.url === url);
  audio.addEventListener("ended", () => {
    const next = player.queue.shift();
    if (next && isShown(next)) player.start(next, 0);
    else show();
  });

  player.start = (url, from) => {
    player.isEarly = false;
    const fresh = player.url !== url;
    if (fresh) {
      player.url = url;
      player.failed = null;
      audio.src = url;
    }
    if (from !== null) {
      if (audio.readyState > 0) audio.currentTime = from;
      else audio.addEventListener("loadedmetadata", () => (audio.currentTime = from), { once: true });
    }
    audio.play().catch(() => show());
    show();
  };
  player.startEarly = (url) => {
    // before there is a card that shows it: no card that leaves may end it
    player.start(url, 0);
    player.isEarly = true;
  };
  player.rename = (url) => {
    // what sounds goes by another address from now on: that of the card that shows it
    player.isEarly = false;
    player.url = url;
    show();
  };
  player.toggle = (url) => {
    player.queue = [];
    if (player.url === url && !audio.paused) audio.pause();
    else player.start(url, player.url === url && !audio.ended ? null : 0);
  };
  player.leave = (card) => {
    player.cards.delete(card);
    setTimeout(() => {
      if (player.isEarly || isShown(player.url)) return;
      // between two clips of a queue nothing sounds, and the next must not begin either
      player.queue = [];
      audio.pause();
    }, NO_CARD_GRACE_MS);
  };
  window[STORE] = player;
  return player;
}
