// Dots by the million: WebGL2 draws them a piece at a time, so that a drag never waits for the last one.

const PIECE_MS = 26;
const MIN_PIECE = 20000;
const FIRST_PIECE = 120000;
const PATIENT_PIECES = 3;
export const NO_LAYER = 255;
const MAX_PIXEL_RATIO = 2;
const ROUND_FROM_PX = 2.4;
export const CODES = 256;

const VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in uint code;
layout(location = 2) in float size;
uniform vec2 scale, offset;
uniform vec2 dotPx;
uniform int layer;
uniform sampler2D palette;
out vec4 colour;
flat out float softness;
flat out float shape;
void main() {
  colour = texelFetch(palette, ivec2(int(code), 0), 0);
  vec4 how = texelFetch(palette, ivec2(int(code), 1), 0) * 255.0;
  bool isMine = int(how.r + 0.5) == layer;
  shape = how.g;
  gl_Position = isMine ? vec4(place * scale + offset, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = dotPx.x + dotPx.y * size;
  softness = gl_PointSize < ${ROUND_FROM_PX} ? 0.0 : min(0.9, 3.0 / gl_PointSize);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 colour;
flat in float softness;
flat in float shape;
out vec4 result;
void main() {
  float alpha = colour.a;
  if (softness > 0.0) {
    vec2 from = gl_PointCoord * 2.0 - 1.0;
    float round = dot(from, from);
    float far = shape > 1.5 ? 1.4 * max(abs(from.x), abs(from.y)) : round;
    if (far > 1.0) discard;
    alpha *= 1.0 - smoothstep(1.0 - softness, 1.0, far);
    if (shape > 0.5 && shape < 1.5 && round < 0.36) alpha *= 0.12;
  }
  result = vec4(colour.rgb * alpha, alpha);
}`;

function compiled(gl) {
  const program = gl.createProgram();
  [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ].forEach(([kind, source]) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS))
    throw new Error(gl.getProgramInfoLog(program) || "no shader");
  return program;
}

export class Dots {
  // places: u16 x and y by turns. codes: u8 each. palette: colours of the 256 codes and the layer each lies on.
  constructor(canvas, onSettled) {
    this.canvas = canvas;
    this.onSettled = onSettled;
    this.n = 0;
    this.piece = FIRST_PIECE;
    this.work = [];
    this.view = { scale: [1, 1], offset: [0, 0], dot: [4, 0] };
    this.gl = canvas.getContext("webgl2", {
      antialias: false,
      preserveDrawingBuffer: true,
      premultipliedAlpha: true,
    });
    this.isUsable = this.gl !== null;
    if (this.isUsable) this.prepare();
  }

  prepare() {
    const { gl } = this;
    this.program = compiled(gl);
    this.at = {};
    ["scale", "offset", "dotPx", "layer", "palette"].forEach((name) => {
      this.at[name] = gl.getUniformLocation(this.program, name);
    });
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    this.texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(this.program);
  }

  setPlaces(places, sizes) {
    const { gl } = this;
    this.n = places.length / 2;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[0]);
    gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.UNSIGNED_SHORT, true, 0, 0);
    gl.disableVertexAttribArray(1);
    gl.vertexAttribI4ui(1, 0, 0, 0, 0);
    if (sizes) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[2]);
      gl.bufferData(gl.ARRAY_BUFFER, sizes, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(2);
      gl.vertexAttribPointer(2, 1, gl.UNSIGNED_BYTE, true, 0, 0);
    } else {
      gl.disableVertexAttribArray(2);
      gl.vertexAttrib1f(2, 0);
    }
  }

  setCodes(codes) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[1]);
    gl.bufferData(gl.ARRAY_BUFFER, codes, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(1);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_BYTE, 0, 0);
  }

  // colours: 256 × [red, green, blue, alpha 0…1]. layers: 0 below, 1 above, NO_LAYER where no dot has the code.
  // shapes: numbers of SHAPES.
  setPalette({ colours, layers, shapes }) {
    const { gl } = this;
    const texels = new Uint8Array(CODES * 8);
    for (let code = 0; code < CODES; code += 1) {
      const [red, green, blue, alpha] = colours[code];
      texels.set([red, green, blue, Math.round(255 * alpha)], 4 * code);
      texels[4 * (CODES + code)] = layers[code];
      texels[4 * (CODES + code) + 1] = shapes[code];
    }
    this.layers = [0, 1].filter((layer) => layers.includes(layer));
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, CODES, 2, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  }

  resize(width, height) {
    const ratio = Math.min(MAX_PIXEL_RATIO, window.devicePixelRatio || 1);
    this.ratio = ratio;
    const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (this.canvas.width === wide && this.canvas.height === high) return;
    this.canvas.width = wide;
    this.canvas.height = high;
  }

  // scale, offset: places 0…1 into −1…1 of the canvas. dot: CSS pixels of the smallest dot, and what the largest has more.
  draw(view) {
    this.view = view;
    if (!this.isUsable || !this.layers || this.n === 0) return;
    // a fair sample of every layer at once, then what is left, from the bottom up
    const first = Math.min(this.n, this.piece);
    this.work = this.layers.map((layer) => ({ layer, from: 0, to: first }));
    this.work[0].clears = true;
    if (first < this.n) {
      const piece = PATIENT_PIECES * this.piece;
      this.layers.forEach((layer, place) => {
        for (let from = place === 0 ? first : 0; from < this.n; from += piece) {
          this.work.push({ layer, from, to: Math.min(this.n, from + piece) });
        }
      });
    }
    this.together = this.layers.length;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.step());
  }

  step() {
    this.frame = null;
    const { gl } = this;
    if (gl.isContextLost()) return;
    if (this.fence) {
      const state = gl.clientWaitSync(this.fence, 0, 0);
      if (state !== gl.ALREADY_SIGNALED && state !== gl.CONDITION_SATISFIED && state !== gl.WAIT_FAILED) {
        this.frame = requestAnimationFrame(() => this.step());
        return;
      }
      gl.deleteSync(this.fence);
      this.fence = null;
      this.learnPace(performance.now() - this.startedAt);
    }
    if (!this.work.length) {
      this.onSettled();
      return;
    }
    this.startedAt = performance.now();
    this.drawn = 0;
    const now = this.work.splice(0, Math.max(1, this.together));
    this.together = 1;
    now.forEach((part) => this.drawPart(part));
    this.fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    this.frame = requestAnimationFrame(() => this.step());
  }

  // The next first piece is as large as this machine draws within one frame or two.
  learnPace(tookMs) {
    if (this.drawn < MIN_PIECE) return;
    const paceMs = (tookMs * this.piece) / this.drawn;
    const factor = Math.min(2, Math.max(0.5, PIECE_MS / Math.max(1, paceMs)));
    this.piece = Math.max(MIN_PIECE, Math.round(this.piece * factor));
  }

  drawPart({ layer, from, to, clears }) {
    const { gl, view } = this;
    if (clears) {
      gl.viewport(0, 0, this.canvas.width, this.canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
    }
    gl.uniform2fv(this.at.scale, view.scale);
    gl.uniform2fv(this.at.offset, view.offset);
    gl.uniform2f(this.at.dotPx, view.dot[0] * this.ratio, view.dot[1] * this.ratio);
    gl.uniform1i(this.at.layer, layer);
    gl.uniform1i(this.at.palette, 0);
    gl.drawArrays(gl.POINTS, from, to - from);
    this.drawn += to - from;
  }

  forget() {
    cancelAnimationFrame(this.frame);
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

// Which dot lies nearest to a place: dots sorted into square cells once, then only cells in reach are looked at.
export class Cells {
  constructor(places) {
    this.places = places;
    const n = places.length / 2;
    this.bits = n > 100000 ? 9 : 7;
    this.shift = 16 - this.bits;
    this.starts = new Uint32Array((1 << (2 * this.bits)) + 1);
    this.order = new Uint32Array(n);
    for (let i = 0; i < n; i += 1) this.starts[this.cellOf(i) + 1] += 1;
    for (let cell = 0; cell + 1 < this.starts.length; cell += 1) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    for (let i = 0; i < n; i += 1) this.order[next[this.cellOf(i)]++] = i;
  }

  cellOf(i) {
    return ((this.places[2 * i + 1] >> this.shift) << this.bits) | (this.places[2 * i] >> this.shift);
  }

  nearest(x, y, reach, isShown) {
    const last = (1 << this.bits) - 1;
    const cell = (value) => Math.min(last, Math.max(0, Math.floor(value) >> this.shift));
    let found = -1;
    let best = reach * reach;
    for (let row = cell(y - reach); row <= cell(y + reach); row += 1) {
      const from = this.starts[(row << this.bits) | cell(x - reach)];
      const to = this.starts[((row << this.bits) | cell(x + reach)) + 1];
      for (let k = from; k < to; k += 1) {
        const i = this.order[k];
        const far = (this.places[2 * i] - x) ** 2 + (this.places[2 * i + 1] - y) ** 2;
        if (far < best && isShown(i)) {
          best = far;
          found = i;
        }
      }
    }
    return found;
  }
}
