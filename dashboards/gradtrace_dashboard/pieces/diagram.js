// Shows the drawing of a graph: pan and zoom by a CSS transform, search, click.

const EMPTY = "";

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".piece");
  const view = root.view ?? (root.view = begin(root));
  view.pick = (picked) => setTriggerValue("picked", { ...picked, at: Date.now() });
  root.style.height = `${data.height}px`;
  root.style.setProperty("--pick", data.pick);
  if (view.svg !== data.svg) {
    view.sheet.innerHTML = data.svg;
    view.svg = data.svg;
    dress(view);
    if (view.name !== data.name) requestAnimationFrame(() => fit(view));
    view.name = data.name;
    view.told = null;
  }
  if (view.told !== data.picked) mark(view, find(view, data.picked));
  view.told = data.picked;
}

function mark(view, group) {
  for (const each of view.sheet.querySelectorAll("g.picked")) each.classList.remove("picked");
  group?.classList.add("picked");
}

function begin(root) {
  const view = { root, x: 0, y: 0, zoom: 1 };
  view.sheet = root.appendChild(document.createElement("div"));
  view.sheet.className = "sheet";
  const tools = root.appendChild(document.createElement("div"));
  tools.className = "tools";
  const search = tools.appendChild(document.createElement("input"));
  search.placeholder = "Search nodes";
  search.setAttribute("aria-label", "Search nodes");
  search.oninput = () => seek(view, search.value, false);
  search.onkeydown = (event) => event.key === "Enter" && seek(view, search.value, true);
  for (const [sign, name, action] of [["+", "Zoom in", () => scale(view, 1.3)],
    ["−", "Zoom out", () => scale(view, 1 / 1.3)], ["⤢", "Fit", () => fit(view)]]) {
    const button = tools.appendChild(document.createElement("button"));
    button.textContent = sign;
    button.title = name;
    button.setAttribute("aria-label", name);
    button.onclick = action;
  }
  root.tabIndex = 0;
  root.onkeydown = (event) => key(view, event);
  root.onwheel = (event) => {
    event.preventDefault();
    const area = root.getBoundingClientRect();
    scale(view, Math.exp(-event.deltaY / 500), event.clientX - area.left, event.clientY - area.top);
  };
  view.sheet.onpointerdown = (event) => hold(view, event);
  view.sheet.addEventListener("focusin", ({ target }) =>
    target.matches(":focus-visible") && reach(view, target));
  view.sheet.onclick = (event) => click(view, event);
  return view;
}

function dress(view) {
  for (const link of view.sheet.querySelectorAll("a")) link.removeAttribute("xlink:href");
  for (const node of view.sheet.querySelectorAll("g[data-node]")) node.setAttribute("tabindex", 0);
}

function find(view, picked) {
  if (!picked) return null;
  return [...view.sheet.querySelectorAll("g[data-node], g[data-edge]")].find(
    (each) => each.dataset.node === picked || each.dataset.edge === picked);
}

function move(view) {
  view.sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
}

function fit(view) {
  const svg = view.sheet.querySelector("svg");
  if (!svg) return;
  const [width, height] = [svg.width.baseVal.value, svg.height.baseVal.value];
  const [wide, tall] = [view.root.clientWidth, view.root.clientHeight];
  view.zoom = Math.min(1.4, Math.max(Math.min(wide / width, tall / height), 0.62));
  view.x = Math.max(8, (wide - width * view.zoom) / 2);
  view.y = 8;
  move(view);
}

function scale(view, factor, x = view.root.clientWidth / 2, y = view.root.clientHeight / 2) {
  const zoom = Math.min(8, Math.max(0.03, view.zoom * factor));
  view.x = x - (x - view.x) * zoom / view.zoom;
  view.y = y - (y - view.y) * zoom / view.zoom;
  view.zoom = zoom;
  move(view);
}

function hold(view, event) {
  const [startX, startY, x, y] = [event.clientX, event.clientY, view.x, view.y];
  view.dragged = false;
  view.sheet.classList.add("held");
  const drag = (now) => {
    const [right, down] = [now.clientX - startX, now.clientY - startY];
    if (Math.abs(right) + Math.abs(down) > 4) view.dragged = true;
    [view.x, view.y] = [x + right, y + down];
    move(view);
  };
  const release = () => {
    window.removeEventListener("pointermove", drag);
    window.removeEventListener("pointerup", release);
    view.sheet.classList.remove("held");
  };
  window.addEventListener("pointermove", drag);
  window.addEventListener("pointerup", release);
}

function click(view, event) {
  event.preventDefault();
  if (view.dragged) return;
  pick(view, event.target.closest("g[data-node], g[data-edge], g[data-scope]"));
}

function pick(view, group) {
  if (!group) return;
  mark(view, group);
  const { node, edge, scope, fold } = group.dataset;
  view.pick({ node: node ?? null, edge: edge ?? null, scope: scope ?? null, fold: fold ?? null });
}

function seek(view, text, go) {
  const wanted = text.trim().toLowerCase();
  let first = null;
  for (const node of view.sheet.querySelectorAll("g[data-node]")) {
    const hit = node.dataset.node.toLowerCase().includes(wanted);
    node.classList.toggle("faint", wanted !== EMPTY && !hit);
    if (hit && wanted) first ??= node;
  }
  if (!first) return;
  centre(view, first);
  if (go) pick(view, first);
}

function reach(view, node) {
  const [area, place] = [view.root.getBoundingClientRect(), node.getBoundingClientRect()];
  const inside = place.left >= area.left && place.right <= area.right
    && place.top >= area.top && place.bottom <= area.bottom;
  if (!inside) centre(view, node);
}

function centre(view, node) {
  const [area, place] = [view.root.getBoundingClientRect(), node.getBoundingClientRect()];
  view.x += area.left + area.width / 2 - (place.left + place.width / 2);
  view.y += area.top + area.height / 2 - (place.top + place.height / 2);
  move(view);
}

const MOVES = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };

function key(view, event) {
  if (event.target.tagName === "INPUT") return;
  if (event.key === "+" || event.key === "=") scale(view, 1.2);
  else if (event.key === "-") scale(view, 1 / 1.2);
  else if (event.key === "0") fit(view);
  else if (event.key === "Enter") pick(view, event.target.closest("g[data-node]"));
  else if (MOVES[event.key]) {
    view.x += MOVES[event.key][0];
    view.y += MOVES[event.key][1];
    move(view);
  } else return;
  event.preventDefault();
}
