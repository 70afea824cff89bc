// A map with its legend as a picture to save.

import { css } from "../colours.js";
import { colourOf, ranked, shapeOf, SHAPES } from "./palette.js";

const LEGEND_PX = 250;
const LINE_PX = 22;
const TOP_PX = 26;
const SWATCH_PX = 12;
const FONT = "15px sans-serif";

// canvas: the dots as drawn, at `ratio` of its pixels to those of the page. Returns the address of a PNG.
export function pictureOf(canvas, ratio, data, theme) {
  const picture = document.createElement("canvas");
  picture.width = canvas.width + LEGEND_PX * ratio;
  picture.height = canvas.height;
  const context = picture.getContext("2d");
  context.fillStyle = css(theme.ground);
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(canvas, 0, 0);
  context.scale(ratio, ratio);
  context.font = FONT;
  const left = canvas.width / ratio + 14;
  const nLines = Math.floor((canvas.height / ratio - TOP_PX) / LINE_PX);
  const write = (words, indent, line) => {
    context.fillStyle = css(theme.text);
    context.fillText(words, left + indent, TOP_PX + LINE_PX * line, LEGEND_PX - 14 - indent - 8);
  };
  write(data.legend, 0, 0);
  ranked(data.groups)
    .slice(0, nLines)
    .forEach((group, i) => {
      context.fillStyle = css(colourOf(group, theme, group.high).slice(0, 3));
      swatch(context, SHAPES[shapeOf(group)], left, TOP_PX + LINE_PX * (i + 1) - SWATCH_PX + 1);
      write(`${group.label}  ${group.n.toLocaleString("en")}`, SWATCH_PX + 8, i + 1);
    });
  return picture.toDataURL("image/png");
}

function swatch(context, shape, left, top) {
  if (shape === "square") {
    context.fillRect(left, top, SWATCH_PX, SWATCH_PX);
    return;
  }
  const half = SWATCH_PX / 2;
  context.beginPath();
  context.arc(left + half, top + half, half, 0, 2 * Math.PI);
  if (shape === "ring") context.arc(left + half, top + half, half / 2, 0, 2 * Math.PI, true);
  context.fill();
}
