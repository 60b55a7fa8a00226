// Draws the scene as SVG, only what is in view, and moves it.

const ROW = 14;
const FAR = 0.32; // scale below which text could not be read and is left out
const MARGIN = 200; // pixels around the view that are drawn too
const FONT = "system-ui, sans-serif";

class Stage {
  constructor(svg, data, scene, choose) {
    Object.assign(this, { svg, data, scene, choose, view: { x: 0, y: 0, k: 1 } });
    this.world = drawn("g", { id: "world" });
    this.back = drawn("g");
    this.linesLayer = drawn("g");
    this.front = drawn("g");
    this.world.append(this.back, this.linesLayer, this.front);
    svg.append(this.world);
    this.pen = document.createElement("canvas").getContext("2d");
    this.sizes = new Map();
    this.shown = new Map();
    listenTo(this);
  }

  // Width and height of a box or a closed scope; `label` is the width of its name.
  sizeOf(key) {
    if (!this.sizes.has(key)) {
      const rows = this.rowsOf(key);
      const widths = rows.map(([text, role, caption]) =>
        this.widthOf(text, role === "name") + (caption ? this.widthOf(caption, false) + 12 : 0));
      const chevron = key[0] === "f" ? 16 : 0;
      const w = Math.max(56, ...widths.map((width, row) => width + (row ? 0 : chevron))) + 18;
      this.sizes.set(key, { w, h: rows.length * ROW + 10, label: widths[0] + chevron + 10 });
    }
    const { w, h, label } = this.sizes.get(key);
    return { w, h, label };
  }

  widthOf(text, bold) {
    this.pen.font = `${bold ? "600 12px" : "10.5px"} ${FONT}`;
    return this.pen.measureText(text).width;
  }

  // The lines of a box: [text, role, caption].
  rowsOf(key) {
    const number = Number(key.slice(1));
    if (key[0] === "f") {
      const frame = this.scene.frames[number];
      return [[middle(visible(frame.label), 30), "name"], [`${counted(frame.calls, "call")}, ${counted(frame.leaves, "leaf", "leaves")}`, "detail"]];
    }
    const [index, inside] = this.data.boxes[number];
    const node = this.data.nodes[index];
    const scope = inside >= 0 ? `${this.scene.frames[inside].scope}.` : "";
    const name = scope && node.id.startsWith(scope) ? node.id.slice(scope.length) : node.id;
    const value = (node.value || [])[0];
    const told = name.split(".").at(-1).replace(/_\d+$/, "");
    const detail = [node.op && node.op !== told && !LEAVES.has(node.kind) ? node.op : "", value ? shapeOf(value.shape) : ""];
    const rows = [[middle(visible(name), 28), "name"], [middle(visible(detail.filter(Boolean).join(" · ")), 34), "detail"]];
    const [valueWord, shownValue] = measured("value", node.value);
    if (!LEAVES.has(node.kind) || !node.differentiable) rows.push([shownValue, "number", valueWord]);
    if (node.differentiable) {
      const [word, number] = measured("upstream", node.upstream_gradient);
      rows.push([number, isBad(normOf(node.upstream_gradient)) ? "bad" : "number", word]);
    }
    return rows;
  }

  // Lays the scene out again, and keeps `anchor` where it is on the screen.
  arrange(anchor) {
    const before = anchor && this.items && this.items.get(anchor);
    const place = before && this.toScreen(before.x + before.w / 2, before.y);
    const { items, lines, w, h } = this.scene.layout();
    Object.assign(this, { items, lines, w, h });
    for (const line of lines) {
      const xs = line.points.map(([x]) => x);
      const ys = line.points.map(([, y]) => y);
      line.box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
      line.norm = this.largest(line);
    }
    for (const made of this.shown.values()) made.remove();
    this.shown.clear();
    const after = anchor && items.get(anchor);
    if (place && after) {
      this.view.x = place[0] - (after.x + after.w / 2) * this.view.k;
      this.view.y = place[1] - after.y * this.view.k;
    }
    this.update();
  }

  largest(line) {
    const norms = line.edges.map((index) => normOf(this.data.edges[index].downstream_gradient));
    if (norms.some(isBad)) return norms.find(isBad);
    const known = norms.filter((norm) => norm !== undefined && norm !== null);
    return known.length ? Math.max(...known) : undefined;
  }

  toScreen(x, y) {
    return [x * this.view.k + this.view.x, y * this.view.k + this.view.y];
  }

  // Draws what came into view, removes what left it.
  update() {
    const { x, y, k } = this.view;
    this.world.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
    this.svg.classList.toggle("far", k < FAR);
    const { clientWidth, clientHeight } = this.svg;
    const [left, top] = [(-MARGIN - x) / k, (-MARGIN - y) / k];
    const [right, bottom] = [(clientWidth + MARGIN - x) / k, (clientHeight + MARGIN - y) / k];
    const seen = (x0, y0, x1, y1) => x0 < right && x1 > left && y0 < bottom && y1 > top;
    const far = k < FAR;
    if (far !== this.wasFar) {
      for (const made of this.shown.values()) made.remove();
      this.shown.clear();
      this.wasFar = far;
    }
    for (const [key, item] of this.items) {
      this.keep(key, seen(item.x, item.y, item.x + item.w, item.y + item.h), item.open ? this.back : this.front,
        () => (item.open ? this.frame(item) : this.box(item, far)));
    }
    for (const line of this.lines) {
      this.keep(line.key, seen(...line.box), this.linesLayer, () => this.line(line, far));
    }
  }

  keep(key, wanted, layer, make) {
    const made = this.shown.get(key);
    if (wanted && !made) {
      const fresh = make();
      this.shown.set(key, fresh);
      layer.append(fresh);
    } else if (!wanted && made) {
      made.remove();
      this.shown.delete(key);
    }
  }

  box(item, far) {
    const scope = item.key[0] === "f";
    const number = Number(item.key.slice(1));
    const node = scope ? null : this.data.nodes[this.data.boxes[number][0]];
    const role = scope ? "scope" : node.seed ? "output" : node.kind;
    const group = drawn("g", {
      class: `box ${role}${this.isChosen(item.key) ? " chosen" : ""}`, transform: `translate(${item.x} ${item.y})`,
      role: "button", "aria-label": scope ? `scope ${this.scene.frames[number].scope}, closed` : `${node.kind} ${node.id}`,
      [scope ? "data-scope" : "data-node"]: scope ? this.scene.frames[number].scope : node.id, "data-key": item.key,
    }, drawn("rect", { width: item.w, height: item.h, rx: LEAVES.has(role) ? 2 : 6 }));
    if (far) return group;
    if (scope) group.append(drawn("text", { x: 9, y: 17, class: "chevron", "data-toggle": number }, "▸"));
    this.rowsOf(item.key).forEach(([text, kind, caption], row) => {
      const y = 17 + row * ROW;
      if (caption) group.append(drawn("text", { x: 9, y, class: "caption" }, caption));
      const at = caption ? { x: item.w - 9, "text-anchor": "end" } : { x: scope && !row ? 25 : 9 };
      group.append(drawn("text", { ...at, y, class: kind }, text));
    });
    return group;
  }

  frame(item) {
    const number = Number(item.key.slice(1));
    const frame = this.scene.frames[number];
    let depth = 0;
    for (let at = frame.parent; at >= 0; at = this.scene.frames[at].parent) depth += 1;
    return drawn("g", {
      class: `frame depth${depth % 2}${this.isChosen(item.key) ? " chosen" : ""}`, transform: `translate(${item.x} ${item.y})`,
      role: "button", "aria-label": `scope ${frame.scope}, open`, "data-scope": frame.scope, "data-key": item.key,
    }, drawn("rect", { width: item.w, height: item.h, rx: 8 }),
    drawn("text", { x: 10, y: 19, class: "chevron", "data-toggle": number }, "▾"),
    drawn("text", { x: 26, y: 19, class: "name" }, middle(visible(frame.label), 40)));
  }

  line(line, far) {
    const grade = gradeOf(line.norm, this.data.scale);
    const path = curve(line.points, far);
    const [x, y] = line.points.at(-1);
    const up = line.points.at(-2)[1] > y ? -1 : 1;
    const touches = this.chosen && (line.from === this.chosen || line.to === this.chosen || line.key === this.chosen);
    const group = drawn("g", { class: `line ${grade}${touches ? " near" : ""}`, "data-key": line.key },
      drawn("path", { d: path, class: "stroke" }));
    if (far) return group;
    group.append(drawn("path", { d: `M${x} ${y}l-3.6 ${-7 * up}h7.2z`, class: "head" }),
      drawn("path", { d: path, class: "hit" }));
    if (line.edges.length > 1) group.append(this.label(line, `${line.edges.length} edges`));
    else if (this.data.edges[line.edges[0]].label) group.append(this.label(line, this.data.edges[line.edges[0]].label));
    return group;
  }

  label(line, text) {
    const last = line.points.length - 2;
    const [[x0, y0], [x1, y1]] = [line.points[last], line.points[last + 1]];
    return drawn("text", { x: (x0 + x1) / 2 + 5, y: (y0 + y1) / 2 + 3, class: "label" }, text);
  }

  isChosen(key) {
    return key === this.chosen || (this.also && this.also.has(key));
  }

  // Marks a thing as chosen, with the other boxes of the same node.
  mark(key, also) {
    this.chosen = key;
    this.also = also;
    for (const made of this.shown.values()) made.remove();
    this.shown.clear();
    this.update();
  }

  fit() {
    const { clientWidth, clientHeight } = this.svg;
    const k = Math.min(1.2, (clientWidth - 24) / this.w, (clientHeight - 24) / this.h);
    this.view = { k, x: (clientWidth - this.w * k) / 2, y: Math.max(12, (clientHeight - this.h * k) / 2) };
    this.update();
  }

  // Begins at the upper edge, as large as can be read.
  begin() {
    this.fit();
    if (this.view.k >= 0.55) return;
    const { clientWidth } = this.svg;
    const k = Math.max(0.55, Math.min(0.9, (clientWidth - 24) / this.w));
    const heads = [...this.items.values()].filter((item) => !item.open);
    const first = heads.reduce((one, item) => (one.y <= item.y ? one : item), heads[0]);
    const x = this.w * k <= clientWidth ? (clientWidth - this.w * k) / 2 : clientWidth / 2 - (first.x + first.w / 2) * k;
    this.view = { k, x, y: 12 };
    this.update();
  }

  centre(key) {
    const item = this.items.get(key);
    if (!item) return;
    const { clientWidth, clientHeight } = this.svg;
    this.view.k = Math.max(this.view.k, 0.75);
    this.view.x = clientWidth / 2 - (item.x + item.w / 2) * this.view.k;
    this.view.y = clientHeight / 2 - (item.y + item.h / 2) * this.view.k;
    this.update();
  }

  zoom(factor, x = this.svg.clientWidth / 2, y = this.svg.clientHeight / 2) {
    const k = Math.min(4, Math.max(0.02, this.view.k * factor));
    this.view.x = x - ((x - this.view.x) * k) / this.view.k;
    this.view.y = y - ((y - this.view.y) * k) / this.view.k;
    this.view.k = k;
    this.later();
  }

  later() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.update();
    });
  }
}

// A smooth line down through the points.
function curve(points, far) {
  const [[x0, y0]] = points;
  let path = `M${x0} ${y0}`;
  for (let i = 1; i < points.length; i += 1) {
    const [[xa, ya], [x, y]] = [points[i - 1], points[i]];
    const middleY = (ya + y) / 2;
    path += far || xa === x ? `L${x} ${y}` : `C${xa} ${middleY} ${x} ${middleY} ${x} ${y}`;
  }
  return path;
}
