"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
  const figures = read("figures");
  const gallery = read("gallery");

  // "@accent" and "@accent/0.2" -> the style sheet's colour, with opacity
  const colour = (text) => {
    const found = /^@([\w-]+?)(?:\/([\d.]+))?$/.exec(text);
    if (!found) return text;
    const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${found[1]}`).trim();
    const parts = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
    return found[2] ? `rgba(${parts.join(",")},${found[2]})` : hex;
  };
  const painted = (value, key = "") => {
    if (typeof value === "string") return /color/.test(key) ? colour(value) : value;
    if (Array.isArray(value)) return value.map((part) => painted(part, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, painted(part, name)]));
  };

  const sans = getComputedStyle(document.body).fontFamily;
  const axis = {
    gridcolor: "@line", linecolor: "@line", zeroline: false, fixedrange: true, automargin: true, ticks: "",
    tickfont: { color: "@muted", size: 12 }, title: { font: { color: "@muted", size: 12 }, standoff: 8 },
  };
  const merged = (base, own) => {
    const result = { ...base };
    for (const [name, value] of Object.entries(own ?? {})) {
      const both = value && base[name] && typeof value === "object" && !Array.isArray(value);
      result[name] = both ? merged(base[name], value) : value;
    }
    return result;
  };
  const base = {
    font: { family: sans, size: 13, color: "@ink" },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 46, r: 12, t: 10, b: 40 },
    hoverlabel: { bgcolor: "@card", bordercolor: "@line", font: { family: sans, size: 13, color: "@ink" }, namelength: -1 },
    legend: { font: { color: "@soft", size: 12 }, bgcolor: "rgba(0,0,0,0)" },
    xaxis: axis, yaxis: axis,
  };
  const draw = (place) => {
    const figure = figures[place.dataset.chart];
    const layout = painted(merged(base, figure.layout));
    return Plotly.react(place, painted(figure.data), layout, { responsive: true, displayModeBar: false });
  };
  const places = [...document.querySelectorAll("[data-chart]")];
  const drawn = Promise.all(places.map(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => places.forEach(draw));

  // the picture under the pointer
  const map = document.querySelector('[data-chart="map"]');
  const pointer = document.getElementById("pointer");
  const sprite = document.getElementById("sprite");
  if (!map || !gallery) return;
  const show = ({ points, event }) => {
    const number = points[0].customdata;
    const canvas = pointer.querySelector("canvas");
    canvas.width = canvas.height = gallery.tile;
    canvas.style.imageRendering = gallery.tile <= 32 ? "pixelated" : "auto";
    const left = (number % gallery.across) * gallery.tile;
    const top = Math.floor(number / gallery.across) * gallery.tile;
    canvas.getContext("2d").drawImage(sprite, left, top, gallery.tile, gallery.tile, 0, 0, gallery.tile, gallery.tile);
    pointer.querySelector("strong").textContent = gallery.labels[number];
    pointer.querySelector("small").textContent = gallery.paths[number];
    pointer.hidden = false;
    const box = pointer.getBoundingClientRect();
    const x = event.clientX + 18 + box.width > innerWidth ? event.clientX - 18 - box.width : event.clientX + 18;
    const y = Math.min(Math.max(8, event.clientY - box.height / 2), innerHeight - box.height - 8);
    pointer.style.left = `${Math.max(8, x)}px`;
    pointer.style.top = `${y}px`;
  };
  drawn.then(() => {
    map.on("plotly_hover", show);
    map.on("plotly_unhover", () => { pointer.hidden = true; });
  });
  addEventListener("scroll", () => { pointer.hidden = true; }, { passive: true });
})();
