// What is said of the node, the edge or the scope that was chosen.

const STATISTICS = ["norm", "mean", "std", "min", "max", "nonfinite", "zeros"];
const MOST_ROWS = 60; // rows of a list before the rest is only counted

class Panel {
  constructor(data, scene, root, go) {
    Object.assign(this, { data, scene, root, go }); // go(what, number) chooses another thing
    const nodeOf = (box) => data.boxes[box][0];
    this.edges = data.edges.map((edge, index) => ({
      ...edge, index, operandNode: nodeOf(edge.from), resultNode: nodeOf(edge.to),
    }));
    this.uses = data.nodes.map(() => []);
    this.operands = data.nodes.map(() => []);
    for (const edge of this.edges) {
      this.uses[edge.operandNode].push(edge);
      this.operands[edge.resultNode].push(edge);
    }
  }

  show(what, number) {
    const made = what === "node" ? this.node(number)
      : what === "edge" ? this.edge(this.edges[number])
        : what === "line" ? this.line(number) : this.scope(number);
    this.root.replaceChildren(...made.filter(Boolean));
    this.root.scrollTop = 0;
  }

  empty() {
    const { nodes, edges, frames, backend } = this.data;
    const counts = `${counted(nodes.length, "node")}, ${counted(edges.length, "edge")}`;
    const made = [
      element("h2", {}, "Graph"),
      element("p", {}, backend ? `${counts}, by ${visible(backend)}.` : `${counts}.`),
      this.data.gradients ? null : element("p", { class: "note" }, "No backward pass ran."),
      element("p", {}, "Choose a node, an arrow or a scope to see its numbers, its formula and its factors of the chain rule."),
      element("dl", { class: "keys" }, ...[
        ["drag, wheel", "move, zoom"], ["/", "search"], ["+  −  0", "zoom, show all"],
        ["↑ ↓", "operand, result of the chosen node"], ["← →", "other operands or results"],
        ["Enter", "open or close the chosen scope"], ["Esc", "choose nothing"],
      ].flatMap(([key, does]) => [element("dt", {}, key), element("dd", {}, does)])),
      frames.length ? element("p", {}, "▸ opens a scope, ▾ closes it.") : null,
    ];
    this.root.replaceChildren(...made.filter(Boolean));
  }

  node(number) {
    const node = this.data.nodes[number];
    return [
      element("h2", {}, visible(node.id)),
      element("p", { class: "kind" }, this.kindOf(node)),
      node.note ? element("p", { class: "note" }, visible(node.note)) : null,
      this.facts([
        ["scope", node.scope && visible(node.scope)],
        ["also named", (node.names || []).map(visible).join(", ")],
        ["made at", node.source && visible(`${node.source.file}:${node.source.line} in ${node.source.function}`)],
        ["seed", node.seed && measured("seed", node.seed)[1]],
      ]),
      this.tensors([["value", node.value], ["upstream gradient", node.differentiable ? node.upstream_gradient : undefined]]),
      ...this.chainRule(number),
      ...this.largestPath(number),
      ...this.list("Operands", this.operands[number], (edge) => this.data.nodes[edge.operandNode]),
    ];
  }

  kindOf(node) {
    const op = node.op && node.op !== node.kind ? `${node.kind} of ${visible(node.op)}` : node.kind;
    return node.folded ? `${op}, ${node.folded} calls folded` : op;
  }

  facts(rows) {
    const known = rows.filter(([, fact]) => fact !== undefined && fact !== null && fact !== "");
    if (!known.length) return null;
    return element("dl", {}, ...known.flatMap(([name, fact]) =>
      [element("dt", {}, name), element("dd", {}, fact)]));
  }

  // A table of statistics, a column for each tensor.
  tensors(groups) {
    const columns = [];
    for (const [word, tensors] of groups) {
      if (tensors === undefined) continue;
      (tensors || [null]).forEach((tensor, part) => {
        columns.push([tensors && tensors.length > 1 ? `${word} ${part}` : word, tensor]);
      });
    }
    if (!columns.length) return null;
    const row = (name, cells) => element("tr", {}, element("th", { scope: "row" }, name),
      ...cells.map(([text, bad]) => element("td", { class: bad ? "bad" : null }, text)));
    const rows = [
      row("shape", columns.map(([, t]) => [t ? shapeOf(t.shape) : NOT_COMPUTED])),
      row("type", columns.map(([, t]) => [t ? t.dtype : ""])),
      ...STATISTICS.filter((name) => columns.some(([, t]) => t && name in t)).map((name) =>
        row(name, columns.map(([, t]) => (t ? [written(t[name]), isBad(t[name])] : [""])))),
    ];
    if (columns.some(([, t]) => t && t.elements !== undefined)) {
      rows.push(row("elements", columns.map(([, t]) =>
        [t && t.elements !== undefined ? elementsOf(t.elements) : ""])));
    }
    return element("table", { class: "tensors" },
      element("thead", {}, element("tr", {}, element("td"),
        ...columns.map(([word]) => element("th", { scope: "col" }, word)))),
      element("tbody", {}, ...rows));
  }

  // The upstream gradient as the sum of what comes back along each use.
  chainRule(number) {
    const node = this.data.nodes[number];
    if (!node.differentiable) return [];
    const uses = this.uses[number].filter((edge) => edge.structure);
    if (!uses.length) return [];
    const total = measured("upstream gradient", node.upstream_gradient);
    const sum = uses.length > 1 ? `the sum over its ${uses.length} uses` : "what its one use passes back";
    return [
      element("h3", {}, "Chain rule"),
      element("p", { class: "sum" }, `${total[0]} ${total[1]} is ${sum}${node.seed ? ", with the seed" : ""}:`),
      ...this.list("", uses, (edge) => this.data.nodes[edge.resultNode]),
    ];
  }

  list(title, edges, other) {
    if (!edges.length) return [];
    const rows = edges.slice(0, MOST_ROWS).map((edge) => this.factor(edge, other(edge)));
    const more = edges.length - rows.length;
    return [
      title ? element("h3", {}, title) : null,
      element("ul", { class: "factors" }, ...rows,
        more > 0 ? element("li", { class: "more" }, `… ${more.toLocaleString("en")} more`) : null),
    ];
  }

  // One edge as a factor: what it belongs to, its formula, and its numbers.
  factor(edge, other) {
    const [result, operand] = [this.data.nodes[edge.resultNode], this.data.nodes[edge.operandNode]];
    const name = `∂ ${visible(result.id)} / ∂ ${visible(operand.id)}`;
    return element("li", {},
      element("button", { class: "link", onclick: () => this.go("edge", edge.index), title: name }, visible(other.id)),
      element("span", { class: "formula" }, edge.formula ? visible(edge.formula) : edge.structure || ""),
      element("span", { class: "numbers" }, this.product(edge)));
  }

  // ‖upstream‖ × gain = ‖downstream‖
  product(edge) {
    if (!edge.structure) return "no gradient flows";
    const upstream = normOf(this.data.nodes[edge.resultNode].upstream_gradient);
    const downstream = normOf(edge.downstream_gradient);
    return `${written(upstream)} × ${written(edge.gain)} = ${written(downstream)}`;
  }

  // Factor by factor along the use with the largest gradient, up to the output.
  largestPath(number) {
    if (!this.data.nodes[number].differentiable) return [];
    const path = [];
    const seen = new Set([number]);
    for (let at = number; !this.data.nodes[at].seed;) {
      const size = (edge) => {
        const norm = normOf(edge.downstream_gradient);
        return isBad(norm) ? Infinity : norm ?? -1;
      };
      const best = this.uses[at].filter((edge) => edge.structure && edge.downstream_gradient)
        .reduce((one, edge) => (one && size(one) >= size(edge) ? one : edge), null);
      if (!best || seen.has(best.resultNode)) return [];
      path.push(best);
      seen.add(at = best.resultNode);
    }
    if (path.length < 2) return [];
    const output = this.data.nodes[path.at(-1).resultNode];
    return [
      element("details", {},
        element("summary", {}, `From ${visible(output.id)} back to here: ${path.length} factors of the path that carries most`),
        ...this.list("", path.reverse(), (edge) => this.data.nodes[edge.operandNode])),
    ];
  }

  edge(edge) {
    const [operand, result] = [this.data.nodes[edge.operandNode], this.data.nodes[edge.resultNode]];
    const jump = (node, number) => element("button", { class: "link", onclick: () => this.go("node", number) }, visible(node.id));
    const about = edge.estimated ? "about " : "";
    return [
      element("h2", {}, `∂ ${visible(result.id)} / ∂ ${visible(operand.id)}`),
      element("p", { class: "kind" }, "edge from ", jump(operand, edge.operandNode), " to ", jump(result, edge.resultNode),
        `, operand ${visible(edge.operand)}`),
      edge.formula ? element("p", { class: "formula big" }, visible(edge.formula)) : null,
      ...this.meanings(edge.formula || ""),
      edge.structure ? element("p", { class: "sum" }, `‖upstream‖ × gain = ‖downstream‖:  ${this.product(edge)}`)
        : element("p", { class: "note" }, "No gradient flows along this edge."),
      edge.structure ? this.facts([
        ["local derivative", `${edge.structure}, ${shapeOf(edge.result_shape)} by ${shapeOf(edge.operand_shape)}`],
        ["gain", written(edge.gain)],
        ["its norm", "norm" in edge ? about + written(edge.norm) : null],
        ["its elements", "elements" in edge ? elementsOf(edge.elements) : null],
      ]) : null,
      this.tensors([
        ["upstream", result.upstream_gradient],
        ["downstream", edge.structure ? edge.downstream_gradient || null : undefined],
      ]),
    ];
  }

  // What the signs and functions of a formula mean.
  meanings(formula) {
    const known = Object.entries(this.data.glossary).filter(([name]) => formula.includes(`${name}(`));
    const rows = known.map(([name, meaning]) => `${name}: ${meaning}.`);
    if (formula.includes("δ")) rows.unshift("δ is the upstream gradient of the result.");
    return rows.map((row) => element("p", { class: "hint" }, row));
  }

  line(line) {
    const edges = line.edges.map((index) => this.edges[index]);
    return [
      element("h2", {}, `${edges.length} edges`),
      element("p", { class: "kind" }, `from ${this.nameOf(line.from)} to ${this.nameOf(line.to)}`),
      ...this.list("", edges, (edge) => this.data.nodes[edge.operandNode]),
    ];
  }

  nameOf(key) {
    const number = Number(key.slice(1));
    return visible(key[0] === "b" ? this.data.nodes[this.data.boxes[number][0]].id : this.scene.frames[number].scope);
  }

  scope(number) {
    const frame = this.scene.frames[number];
    const inside = (box) => {
      let at = this.data.boxes[box][1];
      while (at >= 0 && at !== number) at = this.scene.frames[at].parent;
      return at === number;
    };
    const entering = this.edges.filter((edge) => !inside(edge.from) && inside(edge.to));
    const leaving = this.edges.filter((edge) => inside(edge.from) && !inside(edge.to));
    return [
      element("h2", {}, visible(frame.scope)),
      element("p", { class: "kind" }, `scope of ${counted(frame.calls, "call")} with ${counted(frame.leaves, "leaf", "leaves")}`),
      element("p", {}, element("button", { onclick: () => this.go("toggle", number) }, frame.open ? "▾ Close" : "▸ Open")),
      ...this.list("Into it", entering, (edge) => this.data.nodes[edge.operandNode]),
      ...this.list("Out of it", leaving, (edge) => this.data.nodes[edge.resultNode]),
    ];
  }
}

function elementsOf(value) {
  return Array.isArray(value) ? `[${value.map(elementsOf).join(", ")}]` : written(value);
}
