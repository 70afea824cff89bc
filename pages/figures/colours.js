// Colours as numbers, whatever way a style sheet says them.

const pixel = onePixel();

function onePixel() {
  const canvas = document.createElement("canvas");
  canvas.width = 1;
  canvas.height = 1;
  // kept out of the graphics card, from which reading back takes its time
  return canvas.getContext("2d", { willReadFrequently: true });
}

// [red, green, blue] of an opaque colour.
export function rgb(colour) {
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  return Array.from(pixel.getImageData(0, 0, 1, 1).data.subarray(0, 3));
}

export const mixed = (one, other, fraction) =>
  one.map((value, i) => Math.round(value + (other[i] - value) * fraction));

export const css = ([red, green, blue], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha})`;

export const isDark = (host) => rgb(getComputedStyle(host).color).reduce((sum, value) => sum + value) > 384;

// A computed colour as #rrggbb and its opacity, which is what vector tools read. "none" and references stay.
export function plainColour(colour) {
  const found = /^(rgba?\(|color\(srgb )([^)]*)\)$/.exec(colour);
  if (!found) return { paint: colour, alpha: 1 };
  const unit = found[1].startsWith("color") ? 255 : 1;
  const numbers = found[2].split(/[\s,/]+/).map(Number);
  const alpha = numbers[3] ?? 1;
  const hex = numbers.slice(0, 3).map((value) => Math.round(Math.min(255, Math.max(0, unit * value))));
  if (alpha === 0) return { paint: "none", alpha: 1 };
  return { paint: `#${hex.map((value) => value.toString(16).padStart(2, "0")).join("")}`, alpha };
}
