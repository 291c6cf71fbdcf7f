// A 16-bit image on a canvas: drag = window and level, wheel or pinch = zoom about the point, two fingers, right or middle button, or shift = pan, double tap = reset.

const RANGE = 65536;
const NARROWEST = RANGE / 16; // narrower windows would show the noise floor, not the image
const LARGEST = 16;
const GAP = 6;
const NAME = 18;
const STILL = 4; // pixels that a finger or a mouse may tremble in a tap
const DOUBLE = 350;
const NARROW = 260; // CSS pixels, below which the caption's words are left out

const limit = (value, low, high) => Math.min(Math.max(value, low), high);

/** Milliseconds that each redraw took, the last 500. */
window.__redraws = [];

export class Viewer {
  /** A pane, to be put somewhere as `element`. */
  constructor(label) {
    this.element = document.createElement("figure");
    this.element.className = "pane";
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    const caption = document.createElement("figcaption");
    const name = document.createElement("span");
    name.textContent = label;
    this.state = document.createElement("span");
    caption.append(name, this.state);
    this.element.append(caption, this.canvas);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.grey = document.createElement("canvas");
    this.greyContext = this.grey.getContext("2d", { alpha: false });
    this.table = new Uint32Array(RANGE);
    this.pointers = new Map();
    /** Called when the window or the level may have changed. */
    this.onwindow = () => {};
    this.tapped = { at: -Infinity, x: 0, y: 0 };
    this.listen();
    // at once: a canvas of another size shows its old picture stretched until it is drawn
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** Show an image, uint16 [channels, rows, columns]; what was done with the last one is forgotten. */
  show(pixels, [channels, rows, columns], names) {
    Object.assign(this, { pixels, channels, rows, columns, names });
    this.grey.width = columns;
    this.grey.height = rows * channels;
    this.target = new ImageData(columns, rows * channels);
    this.target32 = new Uint32Array(this.target.data.buffer);
    this.largest = 1;
    this.windowed = false;
    this.reset();
    this.draw();
  }

  clear() {
    this.pixels = null;
    this.draw();
  }

  reset() {
    Object.assign(this, { zoom: 1, x: 0.5, y: 0.5, width: RANGE, level: RANGE / 2, mapped: false });
    this.request();
    this.onwindow();
  }

  /** Widen the window and raise its level by steps of 1/400 of the window. */
  changeWindow(wider, higher) {
    const step = Math.max(this.width, RANGE / 8) / 400;
    this.width = limit(this.width + wider * step, NARROWEST, RANGE);
    this.level = limit(this.level + higher * step, 0, RANGE);
    this.windowed = true;
    this.mapped = false;
    this.request();
    this.onwindow();
  }

  /** Take over the window of another viewer. */
  follow({ width, level, windowed }) {
    Object.assign(this, { width, level, windowed: this.windowed || windowed, mapped: false });
    this.request();
  }

  /** Zoom by a factor about a point of the canvas (its middle if none is given). */
  zoomBy(factor, point = null) {
    const before = this.measure();
    const u = point ? ((point.x % (before.width + GAP)) - before.width / 2) : 0;
    const v = point ? ((point.y % (before.height + before.name + GAP)) - before.name - before.height / 2) : 0;
    this.zoom = limit(this.zoom * factor, 1, LARGEST);
    this.largest = Math.max(this.largest, this.zoom);
    const after = this.measure();
    this.x += u / (this.columns * before.scale) - u / (this.columns * after.scale);
    this.y += v / (this.rows * before.scale) - v / (this.rows * after.scale);
    this.request();
  }

  pan(right, down) {
    const { scale } = this.measure();
    this.x -= right / (this.columns * scale);
    this.y -= down / (this.rows * scale);
    this.request();
  }

  /** Act on a key; false if it means nothing here. */
  key(event) {
    const [large, far] = [event.shiftKey ? 60 : 15, event.shiftKey ? 160 : 40];
    const actions = {
      ArrowLeft: () => this.changeWindow(-large, 0),
      ArrowRight: () => this.changeWindow(large, 0),
      ArrowUp: () => this.changeWindow(0, -large),
      ArrowDown: () => this.changeWindow(0, large),
      "+": () => this.zoomBy(1.25),
      "=": () => this.zoomBy(1.25),
      "-": () => this.zoomBy(0.8),
      r: () => this.reset(),
      w: () => this.pan(0, far),
      a: () => this.pan(far, 0),
      s: () => this.pan(0, -far),
      d: () => this.pan(-far, 0),
    };
    const key = event.key.length > 1 ? event.key : event.key.toLowerCase();
    if (!this.pixels || !(key in actions)) return false;
    actions[key]();
    return true;
  }

  /** The grid of channels that shows them largest, in CSS pixels: columns, and a panel's width, height and scale. */
  measure() {
    const [wide, high] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const name = this.channels > 1 ? NAME : 0;
    let best = null;
    for (let across = 1; across <= this.channels; across++) {
      const down = Math.ceil(this.channels / across);
      const width = (wide - GAP * (across - 1)) / across;
      const height = (high - GAP * (down - 1)) / down - name;
      const fit = Math.max(Math.min(width / this.columns, height / this.rows), 0.01);
      if (!best || fit > best.fit) best = { across, width, height, fit, name };
    }
    return { ...best, scale: best.fit * this.zoom };
  }

  request() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const begun = performance.now();
    const sharp = window.devicePixelRatio;
    const [wide, high] = [Math.round(this.canvas.clientWidth * sharp), Math.round(this.canvas.clientHeight * sharp)];
    if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });
    this.context.setTransform(sharp, 0, 0, sharp, 0, 0);
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, wide, high);
    if (!this.pixels || !wide || !high) return;
    if (!this.mapped) this.map();
    this.place(sharp);
    const [window_, level, zoom] = [percent(this.width), percent(this.level), `${this.zoom.toFixed(1)}×`];
    this.state.textContent = this.canvas.clientWidth < NARROW ? `${window_}  ${level}  ${zoom}` : `window ${window_}  level ${level}  zoom ${zoom}`;
    window.__redraws.push(performance.now() - begun);
    if (window.__redraws.length > 500) window.__redraws.shift();
  }

  map() {
    const { table, pixels, target32 } = this;
    const [low, slope] = [this.level - this.width / 2, 256 / this.width];
    for (let value = 0; value < RANGE; value++) table[value] = 0xff000000 | (limit(Math.floor((value - low) * slope), 0, 255) * 0x010101);
    for (let i = 0; i < pixels.length; i++) target32[i] = table[pixels[i]];
    this.greyContext.putImageData(this.target, 0, 0);
    this.mapped = true;
  }

  place(sharp) {
    const { across, width, height, scale, name } = this.measure();
    const [w, h] = [this.columns * scale, this.rows * scale];
    this.x = w <= width ? 0.5 : limit(this.x, width / 2 / w, 1 - width / 2 / w);
    this.y = h <= height ? 0.5 : limit(this.y, height / 2 / h, 1 - height / 2 / h);
    const context = this.context;
    context.imageSmoothingEnabled = scale * sharp < 1;
    context.imageSmoothingQuality = "medium";
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    for (let channel = 0; channel < this.channels; channel++) {
      const left = (channel % across) * (width + GAP);
      const top = Math.floor(channel / across) * (height + name + GAP) + name;
      if (name) {
        context.fillStyle = "#a9b0ba";
        context.fillText(this.names[channel], left + width / 2, top - 5, width);
      }
      context.save();
      context.beginPath();
      context.rect(left, top, width, height);
      context.clip();
      const rest = [this.columns, this.rows, left + width / 2 - this.x * w, top + height / 2 - this.y * h, w, h];
      context.drawImage(this.grey, 0, channel * this.rows, ...rest);
      context.restore();
    }
  }

  listen() {
    const canvas = this.canvas;
    const at = (event) => ({ x: event.offsetX, y: event.offsetY });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
        if (this.pixels) this.zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), at(event));
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.pixels) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      if (!this.pointers.size) this.gesture = { still: true, several: false, pans: event.button !== 0 || event.shiftKey, from: at(event) };
      this.pointers.set(event.pointerId, at(event));
      if (this.pointers.size > 1) this.gesture.several = true;
    });
    canvas.addEventListener("pointermove", (event) => {
      const old = this.pointers.get(event.pointerId);
      if (!old || !this.pixels) return;
      const now = at(event);
      const gesture = this.gesture;
      if (gesture.several) {
        const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
        if (other) this.pinch(old, now, other);
      } else {
        if (gesture.still && Math.hypot(now.x - gesture.from.x, now.y - gesture.from.y) < STILL) return;
        gesture.still = false;
        if (gesture.pans) this.pan(now.x - old.x, now.y - old.y);
        else this.changeWindow(now.x - old.x, now.y - old.y);
      }
      this.pointers.set(event.pointerId, now);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
      const { still, several, pans, from } = this.gesture;
      if (!still || several || pans) return;
      const again = event.timeStamp - this.tapped.at < DOUBLE && Math.hypot(from.x - this.tapped.x, from.y - this.tapped.y) < 6 * STILL;
      this.tapped = { at: again ? -Infinity : event.timeStamp, ...from };
      if (again) this.reset();
    });
    canvas.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
  }

  /** One of two fingers has moved. */
  pinch(old, now, other) {
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.pan((now.x - old.x) / 2, (now.y - old.y) / 2);
    this.zoomBy(Math.max(Math.hypot(now.x - other.x, now.y - other.y), 1) / Math.max(Math.hypot(old.x - other.x, old.y - other.y), 1), middle);
  }
}

const percent = (value) => `${Math.round((100 * value) / RANGE)} %`;
