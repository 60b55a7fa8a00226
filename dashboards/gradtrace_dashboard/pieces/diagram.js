// Shows a graph whose scopes open in place, coloured by a quantity, and tells what was chosen.
//
// Scene and Stage, which lay out and draw, are those of the interactive page of gradtrace.

const CALM = 350; // milliseconds in which the second click of a double click is not taken for another
const NAN = 2, INF = 3; // levels that go before any number

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".piece");
  const diagram = root.diagram ?? (root.diagram = new Diagram(root));
  diagram.tell = (picked) => setTriggerValue("picked", { ...picked, at: Date.now() });
  diagram.take(data);
}

class Painted extends Stage {
  constructor(svg, data, scene, choose) {
    super(svg, data, scene, choose);
    this.levels = data.colouring && scene.frames.map(() => 0);
    const rank = (level) => (level === NAN ? 999 : level === INF ? 998 : level);
    data.boxes.forEach(([node], box) => {
      if (!this.levels) return;
      const level = data.colouring.levels[node];
      for (const frame of scene.ancestors(`b${box}`)) {
        if (frame >= 0 && rank(level) > rank(this.levels[frame])) this.levels[frame] = level;
      }
    });
  }

  box(item, far) {
    const group = super.box(item, far);
    if (!this.levels) return group;
    const number = Number(item.key.slice(1));
    const { levels, colours, inks } = this.data.colouring;
    const level = item.key[0] === "f" ? this.levels[number] : levels[this.data.boxes[number][0]];
    group.querySelector("rect").style.fill = colours[level];
    for (const text of group.querySelectorAll("text")) text.style.fill = inks[level];
    return group;
  }
}

class Diagram {
  constructor(root) {
    const button = (sign, title, onclick) => element("button", { title, "aria-label": title, onclick }, sign);
    this.root = root;
    this.search = element("input", {
      id: "search", type: "search", placeholder: "Search nodes ( / )", "aria-label": "Search nodes",
      autocomplete: "off", oninput: () => this.seek(0), onkeydown: (event) => this.searchKey(event),
    });
    this.count = element("span", { id: "count", "aria-live": "polite" });
    this.legend = element("div", { class: "legend" });
    this.said = element("p", { id: "said", "aria-live": "polite" });
    root.append(
      element("header", {},
        element("div", { class: "find" }, this.search, this.count),
        element("div", { class: "tools" },
          button("+", "Zoom in", () => this.stage.zoom(1.3)), button("−", "Zoom out", () => this.stage.zoom(1 / 1.3)),
          button("Fit", "Show all ( 0 )", () => this.stage.fit()), button("⤓ SVG", "Download as SVG", () => this.download()))),
      element("main"), this.legend, this.said);
    root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.stage?.update()).observe(root);
  }

  take(data) {
    this.root.style.height = `${data.height}px`;
    this.root.dataset.theme = data.dark ? "dark" : "light";
    if (data.version !== this.version) this.load(data);
    this.version = data.version;
    const told = JSON.parse(data.told);
    if (choiceOf(told) !== this.known) this.restore(told);
    this.known = choiceOf(told);
  }

  // Draws other data; where it has the same scopes, they stay as they are, and the view does.
  load(data) {
    const before = this.scene;
    const shape = JSON.stringify([data.depth, data.boxes, data.frames]);
    const svg = drawn("svg", { id: "stage", tabindex: 0, role: "application", "aria-label": "Computational graph; arrow keys move along edges" });
    this.root.querySelector("main").replaceChildren(svg);
    const scene = new Scene(data, (key) => this.stage.sizeOf(key));
    scene.openAtFirst(data.depth);
    this.opened = scene.frames.map((frame) => frame.open);
    const view = this.stage?.view;
    Object.assign(this, { data, scene, stage: new Painted(svg, data, scene, (key) => this.choose(key)) });
    this.legend.innerHTML = data.colouring?.legend ?? "";
    this.operands = data.nodes.map(() => []);
    this.uses = data.nodes.map(() => []);
    for (const { from, to } of data.edges) {
      this.operands[data.boxes[to][0]].push(data.boxes[from][0]);
      this.uses[data.boxes[from][0]].push(data.boxes[to][0]);
    }
    if (shape === this.shape) scene.frames.forEach((frame, index) => { frame.open = before.frames[index].open; });
    this.stage.arrange(null);
    if (shape === this.shape) Object.assign(this.stage, { view });
    else { Object.assign(this, { chosen: null, known: null }); this.stage.begin(); }
    this.shape = shape;
    if (this.chosen) this.mark(this.chosen);
    this.stage.update();
  }

  // Shows what an address says: which scopes are toggled, what is chosen.
  restore({ node, edge, scope, toggled }) {
    const { data, scene } = this;
    scene.frames.forEach((frame, index) => { frame.open = this.opened[index] !== toggled.includes(frame.scope); });
    const found = data.edges.find((each) => each.id === edge);
    const number = data.nodes.findIndex((each) => each.id === node);
    const frame = scene.frames.findIndex((each) => each.scope === (scope || node));
    if (found) for (const box of [found.from, found.to]) scene.reveal(box);
    else if (number >= 0) scene.reveal(scene.boxesOf[number][0]);
    else if (frame >= 0) this.revealFrame(frame);
    this.stage.arrange(null);
    if (found) this.show(`b${found.from}>b${found.to}`, `b${found.from}`);
    else if (number >= 0) this.show(`b${scene.boxesOf[number][0]}`);
    else if (frame >= 0) this.show(`f${frame}`);
    else this.mark(null);
  }

  revealFrame(frame) {
    for (let at = this.scene.frames[frame].parent; at >= 0; at = this.scene.frames[at].parent) this.scene.frames[at].open = true;
  }

  show(key, place = key) {
    this.mark(key);
    this.stage.centre(place);
  }

  mark(key) {
    this.chosen = key;
    const boxes = key?.[0] === "b" && !key.includes(">") ? this.scene.boxesOf[this.nodeOf(key)] : [];
    this.stage.mark(key, new Set(boxes.map((box) => `b${box}`)));
  }

  nodeOf(key) {
    return this.data.boxes[Number(key.slice(1))][0];
  }

  nameOf(key) {
    return key[0] === "f" ? this.scene.frames[Number(key.slice(1))].scope : this.data.nodes[this.nodeOf(key)].id;
  }

  choose(key) {
    if (performance.now() - (this.turned ?? -CALM) < CALM) return;
    const number = Number(key.slice(1));
    if (key.startsWith("toggle")) this.toggle(Number(key.slice(6)));
    else if (key[0] === "f" && !key.includes(">") && !this.scene.frames[number].open) this.toggle(number);
    else this.pick(key || null);
  }

  toggle(number) {
    this.turned = performance.now();
    this.scene.frames[number].open = !this.scene.frames[number].open;
    this.stage.arrange(`f${number}`);
    this.pick(`f${number}`);
  }

  // Marks a thing, and tells what it is.
  pick(key) {
    this.mark(key);
    const toggled = this.scene.frames.filter((frame, index) => frame.open !== this.opened[index]).map((frame) => frame.scope);
    const picked = { ...this.described(key), toggled: [...new Set(toggled)] };
    this.known = choiceOf(picked);
    this.tell(picked);
  }

  described(key) {
    this.said.textContent = key ? key.split(">").map((end) => this.nameOf(end)).join(" to ") : "";
    if (!key) return {};
    if (!key.includes(">")) return { [key[0] === "f" ? "scope" : "node"]: this.nameOf(key) };
    const { edges, from, to } = this.stage.lines.find((line) => line.key === key);
    if (edges.length === 1) return { edge: this.data.edges[edges[0]].id };
    return { line: JSON.stringify([this.nameOf(from), this.nameOf(to)]) };
  }

  go(node) {
    const [box] = this.scene.boxesOf[node];
    const hidden = this.scene.shownFor(box) !== `b${box}`;
    this.scene.reveal(box);
    if (hidden) this.stage.arrange(null);
    this.stage.centre(`b${box}`);
    this.pick(`b${box}`);
  }

  // Goes to a node whose name has the words in it; Enter goes on to the next one.
  seek(next) {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = !words.length ? [] : this.data.nodes.flatMap(({ id, op, kind }, index) =>
      (words.every((word) => `${id} ${op} ${kind}`.toLowerCase().includes(word)) ? [index] : []));
    const exact = found.findIndex((index) => this.data.nodes[index].id.toLowerCase() === words.join(" "));
    if (exact > 0) found.unshift(...found.splice(exact, 1));
    this.at = next ? (this.at ?? -1) + 1 : -1;
    const place = found.length ? Math.max(this.at, 0) % found.length : 0;
    this.count.textContent = !words.length ? "" : this.at < 0 ? `${found.length} found` : `${place + 1} of ${found.length}`;
    if (next && found.length) this.go(found[place]);
  }

  searchKey(event) {
    if (event.key === "Enter") this.seek(1);
    else if (event.key === "Escape") this.root.querySelector("#stage").focus();
  }

  key(event) {
    if (event.target === this.search || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      "+": () => this.stage.zoom(1.25), "=": () => this.stage.zoom(1.25), "-": () => this.stage.zoom(0.8), 0: () => this.stage.fit(),
      "/": () => this.search.focus(), Escape: () => this.pick(null), Backspace: () => this.outwards(),
    };
    if (keys[event.key]) keys[event.key]();
    else if (event.target.closest("header")) return;
    else if (event.key === "Enter" && this.chosen?.[0] === "f") this.toggle(Number(this.chosen.slice(1)));
    else if (event.key.startsWith("Arrow")) this.step(event.key);
    else return;
    event.preventDefault();
  }

  // Chooses the scope around what is chosen.
  outwards() {
    const around = this.chosen && !this.chosen.includes(">") ? this.scene.parentOf(this.chosen) : -1;
    if (around >= 0) this.pick(`f${around}`);
  }

  // Goes along an edge, or beside, to another operand of the same result; moves the view where nothing is chosen.
  step(key) {
    if (this.chosen?.[0] !== "b" || this.chosen.includes(">")) return this.pan(key);
    const node = this.nodeOf(this.chosen);
    const [result] = this.uses[node];
    const beside = result === undefined ? [] : [...new Set(this.operands[result])];
    const place = beside.indexOf(node);
    const next = { ArrowUp: this.operands[node][0], ArrowDown: result, ArrowLeft: beside[place - 1], ArrowRight: beside[place + 1] }[key];
    if (next !== undefined) this.go(next);
  }

  pan(key) {
    const [right, down] = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] }[key];
    this.stage.view.x += right;
    this.stage.view.y += down;
    this.stage.later();
  }

  download() {
    const link = element("a", { download: this.data.file, href: URL.createObjectURL(new Blob([this.picture()], { type: "image/svg+xml" })) });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // The whole drawing as a file, with its colours written into it.
  picture() {
    const { stage } = this;
    const items = [...stage.items.values()];
    const extra = this.data.colouring ? 70 : 0;
    const [width, height] = [Math.max(stage.w + 20, extra && 640), stage.h + 20 + extra];
    const svg = drawn("svg", { id: "stage", xmlns: "http://www.w3.org/2000/svg", viewBox: `-10 -10 ${width} ${height}`, width, height });
    svg.append(
      ...items.filter((item) => item.open).map((item) => stage.frame(item)),
      ...stage.lines.map((line) => stage.line(line, false)),
      ...items.filter((item) => !item.open).map((item) => stage.box(item, false)));
    svg.style.cssText = "position:absolute;visibility:hidden;width:0;height:0";
    this.root.append(svg);
    for (const each of svg.querySelectorAll(".hit")) each.remove();
    for (const each of svg.querySelectorAll("*")) plain(each);
    svg.remove();
    svg.removeAttribute("style");
    svg.prepend(drawn("rect", { x: -10, y: -10, width, height, fill: getComputedStyle(this.root).backgroundColor }));
    if (extra) {
      const legend = new DOMParser().parseFromString(this.data.colouring.legend, "image/svg+xml").documentElement;
      for (const [name, value] of Object.entries({ x: 0, y: stage.h + 10, width: 600, height: 50 })) legend.setAttribute(name, value);
      svg.append(legend);
    }
    return new XMLSerializer().serializeToString(svg);
  }
}

function choiceOf({ node, edge, scope, line, toggled }) {
  return JSON.stringify([node, edge, scope, line].map((each) => each || "").concat(toggled));
}

const LOOKS = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "paint-order"];

function plain(element) {
  const style = getComputedStyle(element);
  for (const look of LOOKS) element.setAttribute(look, style.getPropertyValue(look));
  for (const name of ["class", "style", "role", "aria-label"]) element.removeAttribute(name);
}
