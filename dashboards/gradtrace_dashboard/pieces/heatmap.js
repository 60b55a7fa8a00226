// Draws levels of steps × nodes on a canvas, and tells which cell was clicked.
//
// Names are drawn by fillText, so that none of them can become HTML.

const WIDEST = 168, RIGHT = 8, TOP = 44, BOTTOM = 62;
const EMPTY = 0, FIRST = 4; // levels: of nothing computed, of the smallest magnitude
const KINDS = [[2, 1], [4, 2], [8, 3], [16, 0]]; // what else is in a cell: its bit, and its level

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".piece");
  const view = root.view ?? (root.view = begin(root));
  Object.assign(view, { data, pick: (cell) => setTriggerValue("picked", cell) });
  view.levels = bytes(data.low_first ? data.low : data.high);
  view.lows = bytes(data.low);
  view.highs = bytes(data.high);
  view.kinds = bytes(data.kinds);
  draw(view);
}

function begin(root) {
  const canvas = root.appendChild(document.createElement("canvas"));
  const tip = root.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.setAttribute("aria-live", "polite");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  const view = { root, canvas, tip, cursor: null };
  canvas.onpointermove = (event) => point(view, event);
  canvas.onpointerleave = () => { tip.style.display = "none"; };
  canvas.onclick = (event) => choose(view, cell_at(view, event), event.shiftKey);
  canvas.onkeydown = (event) => key(view, event);
  new ResizeObserver(() => view.data && draw(view)).observe(root);
  return view;
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Paints no more pixels than there are on the screen; each shows what matters most of its cells.
function painted({ data, levels, box }, ratio) {
  const columns = data.first.length, rows = data.rows.length;
  if (!columns || !rows) return null;
  const wide = Math.min(columns, Math.floor(box[2] * ratio)), high = Math.min(rows, Math.floor(box[3] * ratio));
  const shown = new Uint8Array(wide * high);
  const rank = ranks(data.low_first);
  for (let row = 0, index = 0; row < rows; row++) {
    const start = Math.floor(row * high / rows) * wide;
    for (let column = 0; column < columns; column++, index++) {
      const pixel = start + Math.floor(column * wide / columns);
      if (rank[levels[index]] >= rank[shown[pixel]]) shown[pixel] = levels[index];
    }
  }
  const image = new ImageData(wide, high);
  const colours = data.colours.map(packed);
  new Uint32Array(image.data.buffer).set([...shown].map((level) => colours[level]));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [wide, high];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// What goes before what: NaN, infinity, then the largest number, or zero and the smallest one.
function ranks(lowFirst) {
  const order = Array.from({ length: 256 - FIRST }, (_, index) => FIRST + index);
  const sorted = lowFirst ? [EMPTY, ...order.reverse(), 1, 3, 2] : [EMPTY, 1, ...order, 3, 2];
  const found = new Uint16Array(256);
  sorted.forEach((level, place) => { found[level] = place; });
  return found;
}

function packed(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
}

function draw(view) {
  const { canvas, data, root } = view;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [root.clientWidth || 800, data.height];
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  canvas.style.height = `${height}px`;
  canvas.setAttribute("aria-label", `${data.title}. Arrow keys move, Enter opens the layer.`);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.imageSmoothingEnabled = false;
  pen.font = "11px " + getComputedStyle(root).fontFamily;
  const names = data.rows.map((name) => pen.measureText(name).width + 12);
  const left = Math.min(WIDEST, Math.max(40, ...names));
  pen.fillStyle = data.inks.ink;
  pen.textBaseline = "top";
  pen.font = "600 13px " + getComputedStyle(root).fontFamily;
  pen.fillText(data.title, left, 8);
  pen.font = "11px " + getComputedStyle(root).fontFamily;
  view.box = [left, TOP, width - left - RIGHT, height - TOP - BOTTOM];
  const image = painted(view, ratio);
  if (image) pen.drawImage(image, ...view.box);
  hatch(view, pen);
  labels(view, pen);
  marks(view, pen);
  legend(view, pen);
}

function hatch({ data, levels, box }, pen) {
  const columns = data.first.length, rows = data.rows.length;
  if (!levels.includes(EMPTY)) return;
  const [left, top, width, height] = box;
  pen.save();
  pen.beginPath();
  for (let row = 0; row < rows; row++)
    for (let start = 0, at = 0; at <= columns; at++) {
      if (at < columns && levels[row * columns + at] === EMPTY) continue;
      if (at > start)
        pen.rect(left + start * width / columns, top + row * height / rows,
          (at - start) * width / columns, height / rows);
      start = at + 1;
    }
  pen.clip();
  pen.beginPath();
  pen.strokeStyle = data.inks.paper;
  pen.globalAlpha = 0.55;
  for (let x = left - height; x < left + width; x += 6) {
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
  }
  pen.stroke();
  pen.restore();
}

function labels({ data, box }, pen) {
  const [left, top, width, height] = box;
  const each = height / Math.max(data.rows.length, 1);
  const every = Math.max(1, Math.ceil(12 / each));
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.fillStyle = data.inks.ink;
  for (let row = 0; row < data.rows.length; row += every)
    pen.fillText(short(pen, data.rows[row]), left - 6, top + (row + 0.5) * each);
  pen.fillStyle = data.inks.grey;
  pen.textBaseline = "top";
  const count = Math.max(2, Math.floor(width / 130));
  for (let index = 0; index <= count && data.first.length; index++) {
    const column = Math.min(data.first.length - 1, Math.round(index * data.first.length / count));
    pen.textAlign = index === 0 ? "left" : index === count ? "right" : "center";
    const step = index === count ? data.last.at(-1) : data.first[column];
    const word = index === 0 ? "step " : "";
    pen.fillText(word + step.toLocaleString("en"), left + index * width / count, top + height + 5);
  }
}

function short(pen, name) {
  if (pen.measureText(name).width < WIDEST - 10) return name;
  let cut = name;
  while (cut && pen.measureText("…" + cut).width > WIDEST - 10) cut = cut.slice(1);
  return "…" + cut;
}

function marks({ data, box, cursor }, pen) {
  const [left, top, width, height] = box;
  const columns = data.first.length, rows = data.rows.length;
  for (const [step, colour, dash] of [[data.other, data.inks.other, [4, 3]], [data.step, data.inks.mark, []]]) {
    const column = column_of(data, step);
    if (column === null) continue;
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    pen.setLineDash(dash);
    pen.beginPath();
    pen.moveTo(left + (column + 0.5) * width / columns, top - 6);
    pen.lineTo(left + (column + 0.5) * width / columns, top + height + 3);
    pen.stroke();
    pen.setLineDash([]);
  }
  const row = cursor ? cursor.row : data.rows.indexOf(data.node);
  if (row < 0 || !rows) return;
  pen.strokeStyle = data.inks.ink;
  pen.lineWidth = 1.5;
  pen.strokeRect(left, top + row * height / rows, width, height / rows);
  if (!cursor) return;
  pen.fillStyle = data.inks.ink;
  pen.fillRect(left + cursor.column * width / columns - 1, top + row * height / rows, 3, height / rows);
}

function column_of(data, step) {
  if (step === null || step === undefined) return null;
  const column = data.last.findIndex((last) => last >= step);
  return column < 0 ? null : column;
}

function legend({ data, box }, pen) {
  const [left, top, , height] = box;
  const y = top + height + 24;
  for (let level = FIRST; level < 256; level++) {
    pen.fillStyle = data.colours[level];
    pen.fillRect(left + level - FIRST, y, 1.5, 10);
  }
  pen.fillStyle = data.inks.grey;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const [place, label] of data.ticks) pen.fillText(label, left + place * 252, y + 13);
  let x = left + 280;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  for (const level of [1, 2, 3, 0].filter((each) => data.words[each])) {
    pen.fillStyle = data.colours[level];
    pen.fillRect(x, y, 12, 12);
    pen.strokeStyle = data.inks.grey;
    pen.lineWidth = 0.5;
    pen.strokeRect(x, y, 12, 12);
    pen.fillStyle = data.inks.ink;
    pen.fillText(data.words[level], x + 17, y + 7);
    x += 30 + pen.measureText(data.words[level]).width;
  }
}

function cell_at({ box, canvas, data }, event) {
  const area = canvas.getBoundingClientRect();
  const [left, top, width, height] = box;
  const columns = data.first.length, rows = data.rows.length;
  const column = Math.floor((event.clientX - area.left - left) / width * columns);
  const row = Math.floor((event.clientY - area.top - top) / height * rows);
  const inside = row >= 0 && row < rows && column < columns;
  return inside ? { row, column: Math.max(0, column) } : null;
}

function choose(view, cell, stay) {
  if (!cell) return;
  const { data } = view;
  const picked = { node: data.rows[cell.row], step: data.last[cell.column], stay, at: Date.now() };
  view.pick(picked);
}

function point(view, event) {
  const cell = cell_at(view, event);
  view.tip.style.display = cell ? "block" : "none";
  if (cell) say(view, cell, event.offsetX, event.offsetY);
}

function say({ data, tip, root, highs, lows, kinds }, { row, column }, x, y) {
  const index = row * data.first.length + column;
  const [first, last] = [data.first[column], data.last[column]];
  const steps = first === last ? `step ${first}` : `steps ${first} to ${last}`;
  const numbers = [...new Set([lows[index], highs[index]].filter((level) => level >= FIRST))];
  const other = KINDS.filter(([bit]) => kinds[index] & bit).map(([, level]) => data.words[level]);
  const found = [numbers.map((level) => number(data, level)).join(" to "), ...other].filter(Boolean);
  tip.textContent = `${data.rows[row]}\n${steps}\n${found.join(", ")}`;
  tip.style.display = "block";
  tip.style.left = `${Math.min(x + 14, root.clientWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${y + 14}px`;
}

function number({ scale: [low, high, log] }, level) {
  const place = (level - FIRST) / 251;
  const value = log ? low * (high / low) ** place : low + place * (high - low);
  return `≈ ${value.toPrecision(2)}`;
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function key(view, event) {
  const { data } = view;
  const columns = data.first.length, rows = data.rows.length;
  if (!columns || !rows) return;
  const here = view.cursor ?? { row: Math.max(0, data.rows.indexOf(data.node)),
    column: column_of(data, data.step) ?? columns - 1 };
  if (event.key === "Enter" || event.key === " ") choose(view, here, event.key === " ");
  else if (event.key === "Escape") view.cursor = null;
  else if (MOVES[event.key]) {
    const [down, right] = MOVES[event.key];
    const stride = event.shiftKey ? Math.max(1, Math.round(columns / 20)) : 1;
    view.cursor = {
      row: Math.min(rows - 1, Math.max(0, here.row + down)),
      column: Math.min(columns - 1, Math.max(0, here.column + right * stride)),
    };
    const [left, top, width, height] = view.box;
    say(view, view.cursor, left + view.cursor.column * width / columns,
      top + view.cursor.row * height / rows);
  } else return;
  event.preventDefault();
  draw(view);
}
