// How numbers, shapes and names are written: as in every other output of gradtrace.

const LEAVES = new Set(["input", "parameter", "buffer", "constant"]);
const NOT_COMPUTED = "not computed";

// Three significant digits, ties to even: 0.123, 1234, 1.23e4.
function written(value) {
  if (value === null || value === undefined) return NOT_COMPUTED;
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 999.5 && size < 9999.5) return String(Number(rounded(value, size < 1000 ? 2 : 3)));
  if (size >= 1e-3 && size < 1000) return String(Number(rounded(value, 2)));
  const [mantissa, exponent] = rounded(value, 2).split("e");
  return `${mantissa.replace(/\.?0+$/, "")}e${Number(exponent)}`;
}

// As toExponential, which rounds ties up.
function rounded(value, digits) {
  const [exact, exponent] = value.toExponential(80).split("e");
  const cut = exact.indexOf(".") + digits + 1;
  const tie = /^50*$/.test(exact.slice(cut)) && Number(exact[cut - 1]) % 2 === 0;
  return tie ? `${exact.slice(0, cut)}e${exponent}` : value.toExponential(digits);
}

function shapeOf(sizes) {
  return sizes.length ? sizes.join(" × ") : "scalar";
}

// A tensor as one number: its element, or its norm. Returns [word, number].
function measured(word, tensors) {
  const known = (tensors || []).filter(Boolean);
  if (!known.length) return [word, NOT_COMPUTED];
  const single = (tensor) => tensor.shape.every((size) => size === 1) && "mean" in tensor;
  const numbers = known.slice(0, 3).map((tensor) => written(single(tensor) ? tensor.mean : tensor.norm));
  if (known.length > 3) numbers.push("…");
  return [known.every(single) ? word : `‖${word}‖`, numbers.join(", ")];
}

function normOf(tensors) {
  const tensor = (tensors || []).find(Boolean);
  return tensor ? tensor.norm : undefined;
}

// "1 call", "2,000 calls", "2 leaves".
function counted(count, noun, plural = `${noun}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
}

function isBad(value) {
  return typeof value === "string";
}

function middle(text, limit) {
  if (text.length <= limit) return text;
  const tail = Math.floor((limit - 1) / 2);
  return `${text.slice(0, limit - 1 - tail)}…${text.slice(text.length - tail)}`;
}

// Characters that cannot be seen, as escapes.
function visible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (c) =>
    c === "\n" ? "\\n" : c === "\t" ? "\\t" : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// The class of a line: how large its gradient is, on the scale of the figure.
function gradeOf(norm, scale) {
  if (norm === undefined || norm === null) return "unknown";
  if (isBad(norm)) return "bad";
  if (norm === 0 || !scale) return "zero";
  const place = (Math.log10(norm) - scale[0]) / (scale[1] - scale[0]);
  return `g${Math.min(5, Math.max(0, Math.floor(place * 6)))}`;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
