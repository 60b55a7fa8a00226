// Joins the parts of the page: search, choice, keys, colours.

const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const scene = new Scene(data, (key) => stage.sizeOf(key));
const stage = new Stage(get("stage"), data, scene, choose);
const panel = new Panel(data, scene, get("panel"), go);
let current = null; // the chosen thing: [what, number]

// Chooses what was clicked: a box, a scope, a line, or its toggle.
function choose(key) {
  if (!key) return clear();
  if (key.startsWith("toggle")) return toggle(Number(key.slice(6)));
  const number = Number(key.slice(1));
  if (key.includes(">")) {
    const line = stage.lines.find((each) => each.key === key);
    if (line.edges.length === 1) return chosen("edge", line.edges[0], key);
    return chosen("line", line, key);
  }
  return key[0] === "b" ? chosen("node", data.boxes[number][0], key) : chosen("scope", number, key);
}

function chosen(what, number, key) {
  current = [what, number];
  const boxes = what === "node" ? scene.boxesOf[number].map((box) => `b${box}`) : [];
  stage.mark(key, new Set(boxes));
  panel.show(what, number);
  get("said").textContent = get("panel").querySelector("h2").textContent;
  get("panel").classList.add("open");
}

function clear() {
  current = null;
  stage.mark(null, null);
  panel.empty();
}

// Opens the scopes around a thing, moves to it, and chooses it.
function go(what, number) {
  if (what === "toggle") return toggle(number);
  const boxes = what === "edge" ? [data.edges[number].from, data.edges[number].to] : [scene.boxesOf[number][0]];
  const hidden = boxes.some((box) => scene.shownFor(box) !== `b${box}`);
  for (const box of boxes) scene.reveal(box);
  if (hidden) stage.arrange(null);
  stage.centre(`b${boxes[0]}`);
  return chosen(what, number, what === "edge" ? `b${boxes[0]}>b${boxes[1]}` : `b${boxes[0]}`);
}

function toggle(number) {
  const frame = scene.frames[number];
  frame.open = !frame.open;
  stage.arrange(`f${number}`);
  chosen("scope", number, `f${number}`);
}

function openAll(open) {
  scene.setAll(open);
  stage.arrange(null);
  stage.begin();
}

const MOST_FOUND = 40;

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = !words.length ? [] : data.nodes.flatMap((node, index) => {
    const known = `${node.id} ${node.op} ${node.kind}`.toLowerCase();
    return words.every((word) => known.includes(word)) ? [index] : [];
  });
  const rank = (index) => (data.nodes[index].id.toLowerCase() === text.toLowerCase() ? -1 : data.nodes[index].order);
  found.sort((a, b) => rank(a) - rank(b));
  const rows = found.slice(0, MOST_FOUND).map((index) => element("li", { role: "option" },
    element("button", { onclick: () => { go("node", index); close(); } },
      visible(data.nodes[index].id), element("small", {}, visible(data.nodes[index].op || data.nodes[index].kind)))));
  const count = words.length ? `${found.length.toLocaleString("en")} found` : "";
  get("count").textContent = count;
  get("found").replaceChildren(...rows);
  get("found").hidden = !rows.length;
  return found;
}

function close() {
  get("found").hidden = true;
}

// Moves the choice along an edge: to an operand or a result, or to the next one beside it.
function step(key) {
  if (!current || current[0] !== "node") return false;
  const [, number] = current;
  const up = panel.operands[number].map((edge) => edge.operandNode);
  const down = panel.uses[number].map((edge) => edge.resultNode);
  if (key === "ArrowUp" && up.length) return go("node", up[0]), true;
  if (key === "ArrowDown" && down.length) return go("node", down[0]), true;
  const [result] = down;
  const beside = result === undefined ? [] : [...new Set(panel.operands[result].map((edge) => edge.operandNode))];
  const place = beside.indexOf(number) + (key === "ArrowLeft" ? -1 : 1);
  if ((key === "ArrowLeft" || key === "ArrowRight") && beside[place] !== undefined) return go("node", beside[place]), true;
  return key.startsWith("Arrow");
}

function onKey(event) {
  const typing = event.target === get("search");
  if (event.key === "Escape") { close(); clear(); get("stage").focus(); return; }
  if (typing) {
    if (event.key === "Enter") { const [first] = search(get("search").value); if (first !== undefined) { go("node", first); close(); get("stage").focus(); } }
    if (event.key === "ArrowDown") get("found").querySelector("button")?.focus();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = { "+": () => stage.zoom(1.25), "=": () => stage.zoom(1.25), "-": () => stage.zoom(0.8), 0: () => stage.fit(),
    "/": () => get("search").focus() };
  const pan = { ArrowUp: [0, 80], ArrowDown: [0, -80], ArrowLeft: [80, 0], ArrowRight: [-80, 0] };
  if (moves[event.key]) moves[event.key]();
  else if (event.target.closest("#panel, header")) return;
  else if (event.key === "Enter" && current && current[0] === "scope") toggle(current[1]);
  else if (event.key === "Tab" || !event.key.startsWith("Arrow")) return;
  else if (!step(event.key)) {
    stage.view.x += pan[event.key][0];
    stage.view.y += pan[event.key][1];
    stage.update();
  }
  event.preventDefault();
}

function legend() {
  const roles = new Set(data.nodes.map((node) => (node.seed ? "output" : node.kind)));
  const names = { input: "input", parameter: "parameter", buffer: "buffer", constant: "constant", call: "call", item: "part of a result", output: "output" };
  const swatches = Object.keys(names).filter((role) => roles.has(role)).map((role) =>
    element("span", {}, element("i", { class: `swatch ${role}` }), names[role]));
  const ramp = !data.scale ? [] : [element("span", {}, "‖downstream gradient‖ ", `${written(10 ** data.scale[0])} `,
    ...[0, 1, 2, 3, 4, 5].map((grade) => element("i", { class: `ramp g${grade}` })), ` ${written(10 ** data.scale[1])}`)];
  get("legend").append(...swatches, ...ramp);
}

get("search").addEventListener("input", (event) => search(event.target.value));
get("open").addEventListener("click", () => openAll(true));
get("close").addEventListener("click", () => openAll(false));
get("fit").addEventListener("click", () => stage.fit());
get("colours").addEventListener("click", () => {
  const chosen = document.documentElement.dataset;
  const dark = chosen.theme ? chosen.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  chosen.theme = dark ? "light" : "dark";
});
document.addEventListener("keydown", onKey);
window.addEventListener("resize", () => stage.update());
for (const id of ["open", "close"]) get(id).hidden = !data.frames.length;
legend();
panel.empty();
scene.openAtFirst(data.depth);
stage.arrange(null);
stage.begin();
