// Which boxes, scopes and lines are to be seen, and where: each open scope is laid out by itself.

const PAD = 14;
const HEADER = 24;
const GAP = { x: 22, y: 34 };
const FIRST = 70; // boxes and closed scopes that are shown at first

class Scene {
  constructor(data, sizeOf) {
    this.data = data;
    this.sizeOf = sizeOf; // of a box or a closed scope, {w, h}
    this.frames = data.frames.map((frame, index) => ({
      ...frame, index, open: false, boxes: [], frames: [], order: Infinity, calls: 0, leaves: 0,
    }));
    this.root = { index: -1, parent: null, open: true, boxes: [], frames: [], order: 0 };
    for (const frame of this.frames) this.frame(frame.parent).frames.push(frame);
    data.boxes.forEach(([node, frame], box) => {
      this.frame(frame).boxes.push(box);
      const leaf = LEAVES.has(data.nodes[node].kind);
      for (let at = this.frame(frame); at !== this.root; at = this.frame(at.parent)) {
        at.order = Math.min(at.order, box);
        at[leaf ? "leaves" : "calls"] += 1;
      }
    });
    this.boxesOf = data.nodes.map(() => []);
    data.boxes.forEach(([node], box) => this.boxesOf[node].push(box));
  }

  frame(index) {
    return index < 0 ? this.root : this.frames[index];
  }

  // Opens scopes to a depth, or as many, level by level, as fit on a screen.
  openAtFirst(depth) {
    let level = this.root.frames;
    let shown = this.root.boxes.length + level.length;
    for (let at = 0; level.length && (depth === null || at < depth); at += 1) {
      const next = level.flatMap((frame) => frame.frames);
      shown += next.length - level.length;
      for (const frame of level) shown += frame.boxes.length;
      if (depth === null && shown > FIRST) return;
      for (const frame of level) frame.open = true;
      level = next;
    }
  }

  setAll(open) {
    for (const frame of this.frames) frame.open = open;
  }

  reveal(box) {
    for (let at = this.frame(this.data.boxes[box][1]); at !== this.root; at = this.frame(at.parent)) {
      at.open = true;
    }
  }

  // What stands for a box: itself, or the outermost closed scope around it.
  shownFor(box) {
    let shown = `b${box}`;
    for (let at = this.frame(this.data.boxes[box][1]); at !== this.root; at = this.frame(at.parent)) {
      if (!at.open) shown = `f${at.index}`;
    }
    return shown;
  }

  parentOf(key) {
    const number = Number(key.slice(1));
    return key[0] === "b" ? this.data.boxes[number][1] : this.frames[number].parent;
  }

  ancestors(key) {
    const found = [];
    for (let at = this.parentOf(key); at >= 0; at = this.frames[at].parent) found.push(at);
    return [...found, -1];
  }

  // Lays everything out. Returns {items, lines, w, h}: items by key, lines between them.
  layout() {
    const lines = this.bundles();
    this.spaces = new Map([[-1, { items: new Map(), links: new Map() }]]);
    for (const frame of this.frames) {
      if (frame.open && this.isSeen(frame)) {
        this.spaces.set(frame.index, { items: new Map(), links: new Map() });
      }
    }
    for (const index of this.spaces.keys()) this.fill(index);
    for (const line of lines) this.route(line);
    const size = this.arrange(-1);
    const items = new Map();
    this.settle(-1, 0, 0, items);
    for (const line of lines) line.points = this.pointsOf(line);
    return { items, lines, ...size };
  }

  isSeen(frame) {
    for (let at = frame.parent; at >= 0; at = this.frames[at].parent) {
      if (!this.frames[at].open) return false;
    }
    return true;
  }

  // One line for all edges between the same two things that are to be seen.
  bundles() {
    const lines = new Map();
    this.data.edges.forEach((edge, index) => {
      const [from, to] = [this.shownFor(edge.from), this.shownFor(edge.to)];
      if (from === to) return;
      const key = `${from}>${to}`;
      if (!lines.has(key)) lines.set(key, { key, from, to, edges: [] });
      lines.get(key).edges.push(index);
    });
    return [...lines.values()];
  }

  fill(index) {
    const { items } = this.spaces.get(index);
    const frame = this.frame(index);
    for (const box of frame.boxes) {
      items.set(`b${box}`, { ...this.sizeOf(`b${box}`), order: box, ports: new Map() });
    }
    for (const inner of frame.frames) {
      const size = inner.open ? { w: 0, h: 0 } : this.sizeOf(`f${inner.index}`);
      items.set(`f${inner.index}`, { ...size, order: inner.order, ports: new Map() });
    }
  }

  // Lets a line pass through the scopes around its ends, by a port in each border.
  route(line) {
    const tails = this.ancestors(line.from);
    const heads = this.ancestors(line.to);
    const shared = tails.find((index) => heads.includes(index));
    line.parts = [];
    let at = line.from;
    for (const index of tails.slice(0, tails.indexOf(shared))) {
      const port = `out:${line.from}`;
      this.port(index, port, { bottom: true, order: Infinity });
      this.link(line, index, at, `${at === line.from ? "" : port}`, port, "");
      at = `f${index}`;
    }
    const out = at === line.from ? "" : `out:${line.from}`;
    const entered = heads.slice(0, heads.indexOf(shared)).reverse();
    const into = `in:${line.from}`;
    const first = entered.length ? `f${entered[0]}` : line.to;
    this.link(line, shared, at, out, first, entered.length ? into : "");
    entered.forEach((index, place) => {
      this.port(index, into, { top: true, order: -1 });
      const next = place + 1 < entered.length ? `f${entered[place + 1]}` : line.to;
      this.link(line, index, into, "", next, next === line.to ? "" : into);
    });
  }

  port(index, name, side) {
    const { items } = this.spaces.get(index);
    if (!items.has(name)) items.set(name, { w: LANE, h: 0, ports: new Map(), ...side });
  }

  link(line, index, from, fromPort, to, toPort) {
    const { links } = this.spaces.get(index);
    const key = `${from}|${fromPort}>${to}|${toPort}`;
    if (!links.has(key)) links.set(key, { from, fromPort, to, toPort });
    line.parts.push([index, links.get(key)]);
  }

  // Lays out a scope after those inside it; returns its size with its border.
  arrange(index) {
    const space = this.spaces.get(index);
    for (const [key, item] of space.items) {
      const inner = key[0] === "f" ? Number(key.slice(1)) : -1;
      if (inner < 0 || !this.spaces.has(inner)) continue;
      Object.assign(item, this.arrange(inner));
      for (const [name, port] of this.spaces.get(inner).items) {
        if (port.top || port.bottom) item.ports.set(name, port.x + PAD - item.w / 2);
      }
    }
    const keys = [...space.items.keys()];
    const place = new Map(keys.map((key, number) => [key, number]));
    const links = [...space.links.values()];
    for (const link of links) {
      link.fromX = space.items.get(link.from).ports.get(link.fromPort) || 0;
      link.toX = space.items.get(link.to).ports.get(link.toPort) || 0;
    }
    const numbered = links.map((link) => ({
      from: place.get(link.from), to: place.get(link.to), fromX: link.fromX, toX: link.toX,
    }));
    const size = layered([...space.items.values()], numbered, GAP);
    numbered.forEach((link, number) => { links[number].points = link.points; });
    space.inner = size;
    const label = index < 0 ? 0 : this.sizeOf(`f${index}`).label + 2 * PAD;
    space.shift = Math.max(0, (label - size.w - 2 * PAD) / 2);
    if (space.shift) {
      for (const item of space.items.values()) item.x += space.shift;
      for (const link of links) {
        link.points = link.points.map(([x, y]) => [x + space.shift, y]);
      }
    }
    return { w: size.w + 2 * PAD + 2 * space.shift, h: size.h + 2 * PAD + HEADER };
  }

  // Turns places within scopes into places on the page.
  settle(index, x, y, found) {
    const space = this.spaces.get(index);
    space.x = x + PAD;
    space.y = y + PAD + HEADER;
    for (const [key, item] of space.items) {
      if (item.top || item.bottom) continue;
      const left = space.x + item.x - item.w / 2;
      const top = space.y + item.y;
      const inner = key[0] === "f" ? Number(key.slice(1)) : -1;
      const open = inner >= 0 && this.spaces.has(inner);
      found.set(key, { key, x: left, y: top, w: item.w, h: item.h, open });
      if (open) this.settle(inner, left, top, found);
    }
  }

  pointsOf(line) {
    const points = [];
    for (const [index, link] of line.parts) {
      const { x, y } = this.spaces.get(index);
      for (const [px, py] of link.points) points.push([x + px, y + py]);
    }
    return points;
  }
}
