// Shows an SVG drawing, in which a pointer reads the numbers of curves.

const SVG = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".piece");
  root.innerHTML = data.svg;
  const svg = root.querySelector("svg");
  if (!svg || !data.read) return;
  const tip = root.appendChild(document.createElement("div"));
  tip.className = "tip";
  const cross = svg.appendChild(document.createElementNS(SVG, "line"));
  cross.setAttribute("class", "cross");
  svg.onpointermove = (event) => show(event, data.read, svg, cross, tip);
  svg.onpointerleave = () => { tip.style.display = "none"; cross.setAttribute("opacity", 0); };
}

function show(event, read, svg, cross, tip) {
  const [left, top, width, height, whole] = read.box;
  const area = svg.getBoundingClientRect();
  const factor = whole / area.width;
  const at = (event.clientX - area.left) * factor;
  const share = Math.min(1, Math.max(0, (at - left) / width));
  const x = read.x[0] + share * (read.x[1] - read.x[0]);
  const lines = read.curves.filter((curve) => curve.x.length).map((curve) => written(curve, x));
  if (!lines.length) return;
  const place = left + share * width;
  for (const [name, value] of [["x1", place], ["x2", place], ["y1", top], ["y2", top + height]])
    cross.setAttribute(name, value);
  cross.setAttribute("opacity", 1);
  tip.textContent = lines.join("\n");
  tip.style.display = "block";
  const room = area.width - tip.offsetWidth - 4;
  tip.style.left = `${Math.min(room, event.clientX - area.left + 12)}px`;
  tip.style.top = `${event.clientY - area.top + 12}px`;
}

function written(curve, x) {
  let index = curve.x.findIndex((each) => each > x);
  index = index < 0 ? curve.x.length - 1 : Math.max(0, index - 1);
  const [low, high] = [curve.low[index], curve.high[index]];
  const value = low === null ? "no number" : low === high ? low : `${low} to ${high}`;
  return `${curve.name}  step ${curve.x[index].toLocaleString("en")}: ${value}`;
}
