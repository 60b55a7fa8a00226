// Puts items into layers so that links run down: ranks, lanes for long links, order, places.

const LANE = 14; // room that a long link takes beside the items it passes
const SWEEPS = 8;
const MOST_LANES = 20000; // above this, long links are drawn straight, over what they pass

// Items are {w, h, order, top, bottom}, links {from, to, fromX, toX} with numbers of items;
// `top` and `bottom` items are the points at which links enter and leave. Sets x and y of each
// item (its centre, its upper edge) and `points` of each link. Returns width and height.
function layered(items, links, gap) {
  const ranks = rankItems(items, links);
  const cells = items.map((item, index) => ({
    item: index, w: item.w, h: item.h, rank: ranks[index], order: item.order, above: [], below: [],
    side: 0, port: item.top || item.bottom,
  }));
  const chains = links.map((link) => chainOf(cells, link, ranks));
  const layers = [];
  for (const cell of cells) (layers[cell.rank] ||= []).push(cell);
  for (let rank = 0; rank < layers.length; rank += 1) layers[rank] ||= [];
  for (const cell of cells) giveSides(cell);
  orderLayers(layers);
  placeAcross(layers, gap.x);
  const size = placeDown(layers, gap.y);
  items.forEach((item, index) => {
    item.x = cells[index].x;
    item.y = cells[index].y;
  });
  links.forEach((link, index) => {
    link.points = pointsOf(chains[index], link);
  });
  return size;
}

// Longest path from the top; what has nothing above it stands just above its first use.
function rankItems(items, links) {
  const below = items.map(() => []);
  const above = items.map(() => 0);
  for (const link of links) {
    link.turned = items[link.from].order > items[link.to].order;
    const [high, low] = link.turned ? [link.to, link.from] : [link.from, link.to];
    below[high].push(low);
    above[low] += 1;
  }
  const ranks = items.map(() => 0);
  const sorted = items.map((_, index) => index).sort((a, b) => items[a].order - items[b].order);
  for (const high of sorted) {
    for (const low of below[high]) ranks[low] = Math.max(ranks[low], ranks[high] + 1);
  }
  for (const high of sorted) {
    if (!above[high] && below[high].length && !items[high].top) {
      ranks[high] = Math.min(...below[high].map((low) => ranks[low])) - 1;
    }
  }
  const last = Math.max(0, ...ranks.filter((_, index) => !items[index].bottom)) + 1;
  const shift = Math.min(0, ...ranks);
  return ranks.map((rank, index) => (items[index].bottom ? last : rank) - shift);
}

// The cells that a link runs through, from the upper end to the lower one.
function chainOf(cells, link, ranks) {
  const [high, low] = link.turned ? [link.to, link.from] : [link.from, link.to];
  const chain = [cells[high]];
  const span = ranks[low] - ranks[high];
  const [highX, lowX] = link.turned ? [link.toX, link.fromX] : [link.fromX, link.toX];
  let offset = highX || 0;
  const joined = (cell, cellX) => {
    const last = chain[chain.length - 1];
    const both = last.item < 0 && cell.item < 0 ? 4 : last.item < 0 || cell.item < 0 ? 2 : 1;
    last.below.push({ cell, offset: offset - cellX, weight: both });
    cell.above.push({ cell: last, offset: cellX - offset, weight: both });
    chain.push(cell);
    offset = 0;
  };
  if (cells.length + span < MOST_LANES) {
    for (let step = 1; step < span; step += 1) {
      const lane = {
        item: -1, w: LANE, h: 0, rank: ranks[high] + step, above: [], below: [], side: 0,
        order: cells[low].order,
      };
      cells.push(lane);
      joined(lane, 0);
    }
  }
  joined(cells[low], lowX || 0);
  return chain;
}

// Lets what has this as its only use stand to both sides of what else comes into it.
function giveSides(cell) {
  const own = cell.above.map((end) => end.cell)
    .filter((end) => end.item >= 0 && !end.port && !end.above.length && end.below.length === 1);
  own.forEach((end, index) => { end.side = index % 2 ? 1 + index : -1 - index; });
  if (own.length === cell.above.length) return;
  for (const end of cell.above) if (own.includes(end.cell)) end.weight = 0.05; // the way goes straight
}

// Moves each cell toward the middle of those it is linked to, and keeps the order that crosses least.
function orderLayers(layers) {
  for (const layer of layers) layer.sort((a, b) => a.order - b.order);
  number(layers);
  let best = null;
  let fewest = Infinity;
  for (let sweep = 0; sweep <= SWEEPS; sweep += 1) {
    const crossings = layers.reduce((sum, layer) => sum + crossingsBelow(layer), 0);
    if (crossings <= fewest) {
      fewest = crossings;
      best = layers.map((layer) => [...layer]);
    }
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      for (const cell of layer) {
        const ends = down ? cell.above : cell.below;
        const sum = ends.reduce((total, end) => total + end.cell.place, 0);
        cell.wish = ends.length ? sum / ends.length : cell.place;
      }
      layer.sort((a, b) => a.wish - b.wish || a.side - b.side || a.place - b.place);
      layer.forEach((cell, place) => { cell.place = place; });
    }
  }
  best.forEach((layer, index) => { layers[index] = layer; });
  number(layers);
}

function number(layers) {
  for (const layer of layers) layer.forEach((cell, place) => { cell.place = place; });
}

// Counts crossings between a layer and the next with a tree of counts.
function crossingsBelow(layer) {
  const ends = layer.flatMap((cell) =>
    cell.below.map((end) => end.cell.place).sort((a, b) => a - b));
  const size = Math.max(0, ...ends) + 1;
  const tree = new Uint32Array(size + 1);
  let crossings = 0;
  ends.forEach((end, seen) => {
    let before = 0;
    for (let i = end + 1; i > 0; i -= i & -i) before += tree[i];
    crossings += seen - before;
    for (let i = end + 1; i <= size; i += i & -i) tree[i] += 1;
  });
  return crossings;
}

// Places each layer as near as can be to what it is linked to, without overlap.
function placeAcross(layers, gap) {
  for (const layer of layers) {
    let x = 0;
    for (const cell of layer) {
      cell.x = x + cell.w / 2;
      x += cell.w + gap;
    }
    for (const cell of layer) cell.x -= x / 2;
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) settle(layer, down, gap);
  }
  for (const layer of layers) settle(layer, null, gap);
}

// Least squares under the order of a layer: neighbours that would overlap move as one.
function settle(layer, down, gap) {
  const groups = [];
  let offset = 0;
  layer.forEach((cell, index) => {
    if (index) offset += (layer[index - 1].w + cell.w) / 2 + gap;
    const ends = down === null ? [...cell.above, ...cell.below] : down ? cell.above : cell.below;
    let weight = 0.01;
    let sum = 0.01 * cell.x;
    for (const end of ends) {
      weight += end.weight;
      sum += end.weight * (end.cell.x - end.offset);
    }
    cell.apart = offset;
    groups.push({ at: sum / weight - offset, weight, cells: [cell] });
    while (groups.length > 1 && groups.at(-2).at > groups.at(-1).at) {
      const last = groups.pop();
      const one = groups.at(-1);
      one.at = (one.at * one.weight + last.at * last.weight) / (one.weight + last.weight);
      one.weight += last.weight;
      one.cells.push(...last.cells);
    }
  });
  for (const group of groups) for (const cell of group.cells) cell.x = group.at + cell.apart;
}

function placeDown(layers, gap) {
  let y = 0;
  let left = Infinity;
  let right = -Infinity;
  for (const [index, layer] of layers.entries()) {
    const height = Math.max(0, ...layer.map((cell) => cell.h));
    const next = layers[index + 1] || [];
    const border = [layer, next].some((each) => each.length && each.every((cell) => cell.port));
    for (const cell of layer) {
      cell.y = y + (height - cell.h) / 2;
      cell.layerY = y;
      cell.layerH = height;
      left = Math.min(left, cell.x - cell.w / 2);
      right = Math.max(right, cell.x + cell.w / 2);
    }
    y += height + (index + 1 < layers.length ? (border ? gap / 3 : gap) : 0);
  }
  if (left > right) [left, right] = [0, 0];
  for (const layer of layers) for (const cell of layer) cell.x -= left;
  return { w: right - left, h: y };
}

// From the lower edge of the first cell to the upper edge of the last, straight through lanes.
function pointsOf(chain, link) {
  const [highX, lowX] = link.turned ? [link.toX, link.fromX] : [link.fromX, link.toX];
  const first = chain[0];
  const last = chain[chain.length - 1];
  const points = [[first.x + (highX || 0), first.y + first.h]];
  for (const lane of chain.slice(1, -1)) {
    points.push([lane.x, lane.layerY], [lane.x, lane.layerY + lane.layerH]);
  }
  points.push([last.x + (lowX || 0), last.y]);
  return link.turned ? points.reverse() : points;
}
