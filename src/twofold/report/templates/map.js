"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
const places = new Uint16Array(bytes(data.places)), near = new Uint32Array(bytes(data.neighbours));
const count = data.paths.length, columns = Object.keys(data.columns);
const canvas = $("canvas"), pen = canvas.getContext("2d");
const sheets = data.sheets.map((uri) => { const sheet = new Image(); sheet.onload = draw; sheet.src = uri; return sheet; });
const MOST_NAMES = 40, THUMBS = 900, PER_SHEET = data.across * data.across;
let view = { x: 0, y: 0, zoom: 1 }, by = columns[0], hidden = new Set(), chosen = -1, selected = new Set(), lasso = null, waiting = false;
let visible = new Uint8Array(count).fill(1);

const colour = (number) => number >= MOST_NAMES ? "#999" : `hsl(${(number * 137.5) % 360} 65% ${number % 2 ? 42 : 55}%)`;
const scale = () => Math.min(canvas.clientWidth, canvas.clientHeight) * 0.94 * view.zoom;
const left = () => canvas.clientWidth / 2 - (0.5 + view.x) * scale(), top_ = () => canvas.clientHeight / 2 - (0.5 + view.y) * scale();
const px = (row) => [left() + places[2 * row] / 65535 * scale(), top_() + places[2 * row + 1] / 65535 * scale()];

function draw() { if (!waiting) { waiting = true; requestAnimationFrame(paint); } }

function paint() {
  waiting = false;
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const s = scale() / 65535, x0 = left(), y0 = top_(), of = data.columns[by].of;
  const inside = [];
  for (let row = 0; row < count; row++) {
    if (!visible[row]) continue;
    const x = x0 + places[2 * row] * s, y = y0 + places[2 * row + 1] * s;
    if (x > -40 && y > -40 && x < width + 40 && y < height + 40) inside.push(row);
  }
  const side = Math.min(data.side, Math.max(0, Math.sqrt(width * height / (inside.length + 1)) * 0.7));
  if (inside.length <= THUMBS) for (const row of inside) {
    const x = x0 + places[2 * row] * s, y = y0 + places[2 * row + 1] * s;
    thumb(row, x - side / 2, y - side / 2, side);
    pen.strokeStyle = selected.has(row) ? "#f30" : colour(of[row]); pen.lineWidth = selected.has(row) ? 3 : 1.5;
    pen.strokeRect(x - side / 2, y - side / 2, side, side);
  } else {
    points(inside, of, ratio, s * ratio, x0 * ratio, y0 * ratio);
  }
  if (chosen >= 0) { const [x, y] = px(chosen); pen.strokeStyle = "#f30"; pen.lineWidth = 3; pen.strokeRect(x - 14, y - 14, 28, 28); }
  if (lasso) {
    pen.strokeStyle = "#f30"; pen.lineWidth = 2; pen.beginPath();
    lasso.forEach(([x, y], number) => number ? pen.lineTo(x, y) : pen.moveTo(x, y)); pen.closePath(); pen.stroke();
  }
}

// one image of all points: a canvas that draws 50,000 rectangles takes several times as long
function points(rows, of, ratio, s, x0, y0) {
  const width = canvas.width, height = canvas.height, image = pen.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  const r = Math.round(ratio * Math.max(2, Math.min(6, 400 / Math.sqrt(count) * Math.sqrt(view.zoom)))), names = data.columns[by].names.length;
  const shades = Array.from({ length: Math.min(names, MOST_NAMES) + 1 }, (_, number) => shade(colour(number))), marked = shade("#ff3300");
  for (const row of rows) {
    const x = Math.round(x0 + places[2 * row] * s - r / 2), y = Math.round(y0 + places[2 * row + 1] * s - r / 2);
    const value = selected.has(row) ? marked : shades[Math.min(of[row], MOST_NAMES)];
    for (let dy = Math.max(0, -y); dy < r && y + dy < height; dy++) pixels.fill(value, (y + dy) * width + Math.max(0, x), (y + dy) * width + Math.max(0, Math.min(width, x + r)));
  }
  pen.putImageData(image, 0, 0);
}

function shade(name) {
  pen.fillStyle = name;
  const number = parseInt(pen.fillStyle.slice(1), 16);
  return (0xff000000 | (number & 0xff) << 16 | number & 0xff00 | number >> 16) >>> 0;
}

function thumb(row, x, y, side) {
  const sheet = sheets[Math.floor(row / PER_SHEET)], place = row % PER_SHEET, across = data.across;
  if (sheet.complete) pen.drawImage(sheet, place % across * data.side, Math.floor(place / across) * data.side, data.side, data.side, x, y, side, side);
}

function tile(row) {
  const button = document.createElement("button"), place = row % PER_SHEET, across = data.across, k = 64 / data.side;
  button.className = "tile"; button.title = data.paths[row];
  button.setAttribute("aria-label", data.paths[row]);
  button.style.backgroundImage = `url(${data.sheets[Math.floor(row / PER_SHEET)]})`;
  button.style.backgroundSize = `${across * 64}px`;
  button.style.backgroundPosition = `${-(place % across) * data.side * k}px ${-Math.floor(place / across) * data.side * k}px`;
  button.onclick = () => choose(row);
  return button;
}

function tiles(rows) { const box = document.createElement("div"); box.className = "row"; box.append(...rows.map(tile)); return box; }

function text(kind, words) { const element = document.createElement(kind); element.textContent = words; return element; }

function choose(row) {
  chosen = row;
  const box = $("image"), lines = columns.map((name) => `${name}: ${data.columns[name].names[data.columns[name].of[row]]}`);
  box.replaceChildren(tiles([row]), text("p", data.paths[row]));
  if (data.root) {
    const link = text("a", "Open the file"); link.href = data.root + data.paths[row].split("/").map(encodeURIComponent).join("/"); link.target = "_blank"; box.append(link);
  }
  box.append(text("p", lines.join("\n")), text("h2", "Nearest neighbours"));
  box.querySelectorAll("p")[1].style.whiteSpace = "pre-line";
  box.append(tiles(Array.from(near.subarray(row * data.near, (row + 1) * data.near))));
  draw();
}

function show() {
  const words = $("filter").value.toLowerCase(), of = data.columns[by].of;
  for (let row = 0; row < count; row++) visible[row] = !hidden.has(of[row]) && (!words || data.paths[row].toLowerCase().includes(words)) ? 1 : 0;
  draw();
}

function legend() {
  const column = data.columns[by], totals = new Array(column.names.length).fill(0);
  for (const number of column.of) totals[number]++;
  $("legend-title").textContent = by;
  $("legend").replaceChildren(...column.names.slice(0, 200).map((name, number) => {
    const button = document.createElement("button"), dot = document.createElement("span");
    button.className = "name"; button.setAttribute("aria-pressed", String(!hidden.has(number)));
    dot.className = "dot"; dot.style.background = colour(number);
    button.append(dot, text("span", `${name} (${totals[number].toLocaleString("en")})`));
    button.onclick = () => { hidden.has(number) ? hidden.delete(number) : hidden.add(number); button.setAttribute("aria-pressed", String(!hidden.has(number))); show(); };
    return button;
  }));
  $("typical").replaceChildren(...(by === "cluster" ? data.typical.flatMap((rows, number) => [text("h2", `Typical of cluster ${number + 1}`), tiles(rows)]) : []));
}

function select() {
  const path = new Path2D(); lasso.forEach(([x, y], number) => number ? path.lineTo(x, y) : path.moveTo(x, y)); path.closePath();
  pen.setTransform(1, 0, 0, 1, 0, 0);
  const s = scale() / 65535, x0 = left(), y0 = top_();
  for (let row = 0; row < count; row++) if (visible[row] && pen.isPointInPath(path, x0 + places[2 * row] * s, y0 + places[2 * row + 1] * s)) selected.add(row);
  lasso = null; told(); draw();
}

function told() { $("save").disabled = !selected.size; $("save").textContent = selected.size ? `Save ${selected.size.toLocaleString("en")} selected as CSV` : "Save selection as CSV"; }

$("save").onclick = () => {
  const quoted = (value) => /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const lines = [["path", ...columns], ...[...selected].sort((a, b) => a - b).map((row) => [data.paths[row], ...columns.map((name) => data.columns[name].names[data.columns[name].of[row]])])];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n"], { type: "text/csv" }));
  link.download = "selection.csv"; link.click();
};

function zoom(factor, x, y) {
  const before = [(x - left()) / scale(), (y - top_()) / scale()];
  view.zoom = Math.min(400, Math.max(0.5, view.zoom * factor));
  view.x += before[0] - (x - left()) / scale(); view.y += before[1] - (y - top_()) / scale();
  draw();
}

const fingers = new Map();
let moved = 0, marking = false;
canvas.onpointerdown = (event) => {
  canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, [event.offsetX, event.offsetY]); moved = 0;
  if (marking || event.shiftKey) lasso = [[event.offsetX, event.offsetY]];
};
canvas.onpointermove = (event) => {
  const last = fingers.get(event.pointerId); if (!last) return;
  const now = [event.offsetX, event.offsetY], dx = now[0] - last[0], dy = now[1] - last[1];
  moved += Math.abs(dx) + Math.abs(dy);
  if (fingers.size === 2) {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const apart = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
    lasso = null; zoom(apart(now) / Math.max(1, apart(last)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (lasso) lasso.push(now);
  else { view.x -= dx / scale(); view.y -= dy / scale(); }
  fingers.set(event.pointerId, now); draw();
};
canvas.onpointerup = canvas.onpointercancel = (event) => {
  const single = fingers.size === 1; fingers.delete(event.pointerId);
  if (lasso && lasso.length > 2) return select();
  lasso = null;
  if (!single || moved > 6 || event.type === "pointercancel") return;
  let best = -1, distance = 30 * 30;
  for (let row = 0; row < count; row++) if (visible[row]) {
    const [x, y] = px(row), apart = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
    if (apart < distance) { best = row; distance = apart; }
  }
  if (best >= 0) choose(best);
};
canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * 0.0015), event.offsetX, event.offsetY); }, { passive: false });

function mark() { marking = !marking; $("lasso").setAttribute("aria-pressed", String(marking)); canvas.style.cursor = marking ? "crosshair" : "grab"; }
$("lasso").onclick = mark;
addEventListener("keydown", (event) => {
  if (event.target.matches("input, select")) return;
  const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2], step = 0.1 / view.zoom;
  const keys = {
    ArrowLeft: () => { view.x -= step; }, ArrowRight: () => { view.x += step; }, ArrowUp: () => { view.y -= step; }, ArrowDown: () => { view.y += step; },
    "+": () => zoom(1.4, ...middle), "=": () => zoom(1.4, ...middle), "-": () => zoom(1 / 1.4, ...middle), 0: () => { view = { x: 0, y: 0, zoom: 1 }; },
    Escape: () => { selected.clear(); chosen = -1; told(); }, l: mark,
  };
  if (keys[event.key]) { keys[event.key](); event.preventDefault(); draw(); }
});
$("by").append(...columns.map((name) => { const option = text("option", name); option.value = name; return option; }));
$("by").onchange = (event) => { by = event.target.value; hidden = new Set(); legend(); show(); };
$("filter").oninput = show;
addEventListener("resize", draw);
legend(); show();
