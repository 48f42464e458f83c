"use strict";

// Pure: a list of labels in, a list of labels out.

function toCsv(images, labels) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = images.flatMap((image) => (image.path in labels ? [`${cell(image.path)},${cell(labels[image.path])}`] : []));
  return ["path,label", ...lines, ""].join("\n");
}

function parseCsv(text) {
  const rows = [[""]];
  let quoted = false;
  const source = text.replace(/^\ufeff/, "");
  for (let i = 0; i < source.length; i++) {
    const sign = source[i];
    const row = rows[rows.length - 1];
    if (quoted && sign === '"' && source[i + 1] === '"') {
      row[row.length - 1] += '"';
      i++;
    } else if (sign === '"') {
      quoted = !quoted;
    } else if (!quoted && sign === ",") {
      row.push("");
    } else if (!quoted && sign === "\n") {
      rows.push([""]);
    } else if (quoted || sign !== "\r") {
      row[row.length - 1] += sign;
    }
  }
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}

function fromCsv(text, images) {
  const [head, ...rows] = parseCsv(text);
  const path = head ? head.indexOf("path") : -1;
  const label = head ? head.indexOf("label") : -1;
  if (path < 0 || label < 0) throw new Error("the file has no columns path and label");
  const known = new Set(images.map((image) => image.path));
  const labels = {};
  for (const row of rows) if (known.has(row[path]) && row[label]) labels[row[path]] = row[label];
  return labels;
}

function nextUnlabelled(images, labels, from) {
  for (let step = 0; step < images.length; step++) {
    const place = (from + step) % images.length;
    if (!(images[place].path in labels)) return place;
  }
  return from % Math.max(images.length, 1);
}

function start() {
  const { key, classes: first, images } = JSON.parse(document.getElementById("content").textContent);
  const $ = (id) => document.getElementById(id);
  const kept = read();
  let labels = kept.labels;
  let classes = kept.classes;
  let place = nextUnlabelled(images, labels, 0);
  let history = [];
  let last = null;
  let unsaved = "";

  function read() {
    try {
      const found = JSON.parse(localStorage.getItem(key));
      if (found) return found;
    } catch {
      // a browser that keeps nothing for files, or something else under this key
    }
    return { labels: {}, classes: [...first] };
  }

  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify({ labels, classes }));
      unsaved = "";
    } catch {
      unsaved = " This browser keeps nothing: save labels.csv before you close the page.";
    }
  }

  function give(name) {
    if (!images.length) return;
    const { path } = images[place];
    history.push({ path, before: labels[path], place });
    labels[path] = name;
    last = name;
    if (!classes.includes(name)) classes.push(name);
    place = nextUnlabelled(images, labels, place + 1);
    keep();
    show();
  }

  function undo() {
    const step = history.pop();
    if (!step) return;
    if (step.before === undefined) delete labels[step.path];
    else labels[step.path] = step.before;
    place = step.place;
    keep();
    show();
  }

  function move(by) {
    if (images.length) place = (place + by + images.length) % images.length;
    show();
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([toCsv(images, labels)], { type: "text/csv" }));
    link.download = "labels.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function show() {
    const done = images.filter((image) => image.path in labels).length;
    $("progress").max = Math.max(images.length, 1);
    $("progress").value = done;
    $("status").textContent = `${done} of ${images.length} labelled.${done === images.length ? " All done: save labels.csv." : ""}${unsaved}`;
    const image = images[place];
    if (!image) return;
    $("large").src = image.uri;
    $("large").alt = image.path;
    $("caption").textContent = `${place + 1}. ${image.path}${image.path in labels ? `: ${labels[image.path]}` : ""}`;
    $("suggestion").textContent = image.suggestion ? `Suggested: ${image.suggestion} (${Math.round(100 * image.probability)} %). Enter accepts.` : "";
    $("classes").replaceChildren(...classes.map((name, number) => {
      const button = document.createElement("button");
      button.textContent = number < 9 ? `${number + 1}  ${name}` : name;
      button.setAttribute("aria-pressed", String(labels[image.path] === name));
      button.addEventListener("click", () => give(name));
      return button;
    }));
    if (!$("grid").hidden) showGrid();
  }

  function showGrid() {
    $("grid").replaceChildren(...images.map((image, number) => {
      const figure = document.createElement("figure");
      const picture = document.createElement("img");
      const caption = document.createElement("figcaption");
      picture.src = image.uri;
      picture.alt = image.path;
      caption.textContent = labels[image.path] ?? "";
      figure.classList.toggle("done", image.path in labels);
      figure.classList.toggle("current", number === place);
      figure.append(picture, caption);
      figure.addEventListener("click", () => {
        place = number;
        show();
      });
      return figure;
    }));
  }

  function toggleGrid() {
    $("grid").hidden = !$("grid").hidden;
    show();
  }

  const actions = { undo, skip: () => move(1), back: () => move(-1), same: () => last !== null && give(last), view: toggleGrid, save };
  const keys = { Backspace: "undo", ArrowRight: "skip", ArrowLeft: "back", " ": "same", g: "view", s: "save" };
  for (const [id, act] of Object.entries(actions)) {
    $(id).addEventListener("click", (event) => {
      act();
      event.currentTarget.blur(); // the space bar goes on labelling
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.target === $("name") || event.ctrlKey || event.metaKey || event.altKey) return;
    const number = Number(event.key);
    const name = event.key >= "1" && event.key <= "9" ? classes[number - 1] : undefined;
    if (name !== undefined) give(name);
    else if (event.key in keys) actions[keys[event.key]]();
    else if (event.key === "n") $("name").focus();
    else if (event.key === "Enter" && images[place]?.suggestion) give(images[place].suggestion);
    else return;
    event.preventDefault();
  });
  $("new").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("name").value.trim();
    $("name").value = "";
    $("name").blur();
    if (name) give(name);
  });
  $("load").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    try {
      const loaded = fromCsv(await file.text(), images);
      labels = { ...labels, ...loaded };
      for (const name of Object.values(loaded)) if (!classes.includes(name)) classes.push(name);
      place = nextUnlabelled(images, labels, 0);
      keep();
      show();
    } catch (error) {
      $("status").textContent = `${file.name} cannot be read: ${error.message}.`;
    }
  });
  keep();
  show();
}

if (typeof document !== "undefined") start();
if (typeof module !== "undefined") module.exports = { toCsv, fromCsv, nextUnlabelled };
