// The sound of a dot: heard at once by its number, then shown by the card that Python draws for it.

import { sharedPlayer } from "../player/shared_player.js";

const SOUND_AHEAD_MS = 120;

export class DotSound {
  // The dot that was clicked and whose card has not been drawn yet.
  wanted = undefined;
  early = null;

  // The sound first: what Python then draws takes the server's and the browser's time. tell: asks Python to open the dot.
  hear(point, sounds, tell) {
    this.wanted = point;
    this.early = null;
    if (!sounds) {
      tell();
      return;
    }
    let isTold = false;
    const tellOnce = () => {
      if (!isTold && this.wanted === point) tell();
      isTold = true;
    };
    const player = sharedPlayer();
    this.early = `${sounds}/${point}`;
    player.queue = [];
    ["loadeddata", "error", "failed"].forEach((name) =>
      player.audio.addEventListener(name, tellOnce, { once: true }),
    );
    setTimeout(tellOnce, SOUND_AHEAD_MS);
    player.startEarly(this.early);
  }

  // chosen: the dot that is open by now, and its sound's address.
  playIfWanted(chosen) {
    if (this.wanted === undefined || !chosen || chosen.point !== this.wanted || !chosen.url) return;
    const player = sharedPlayer();
    this.wanted = undefined;
    if (this.early && player.url === this.early && player.failed !== this.early) {
      player.rename(chosen.url);
      return;
    }
    player.queue = [];
    player.start(chosen.url, 0);
  }

  again(chosen) {
    this.wanted = chosen.point;
    this.early = null;
    this.playIfWanted(chosen);
  }
}
