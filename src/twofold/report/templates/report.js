"use strict";
(() => {
  // What the pointer is on: a text (data-tip), or an image of the gallery by its number (data-image).
  const pointer = document.getElementById("pointer");
  const [canvas, strong, small] = pointer.children;
  const gallery = JSON.parse(document.getElementById("gallery")?.textContent ?? "null");
  const sprite = document.getElementById("sprite");

  const paint = (number) => {
    canvas.width = canvas.height = gallery.tile;
    canvas.style.imageRendering = gallery.tile <= 32 ? "pixelated" : "auto";
    const left = (number % gallery.across) * gallery.tile;
    const top = Math.floor(number / gallery.across) * gallery.tile;
    canvas.getContext("2d").drawImage(sprite, left, top, gallery.tile, gallery.tile, 0, 0, gallery.tile, gallery.tile);
  };
  const tell = ({ tip, image }) => {
    canvas.hidden = image === undefined;
    if (image !== undefined) paint(Number(image));
    strong.textContent = image === undefined ? tip : gallery.labels[image];
    small.textContent = image === undefined ? "" : gallery.paths[image];
  };
  const move = (event) => {
    const box = pointer.getBoundingClientRect();
    const right = event.clientX + 18;
    const x = right + box.width > innerWidth ? event.clientX - 18 - box.width : right;
    const y = Math.min(Math.max(8, event.clientY - box.height / 2), innerHeight - box.height - 8);
    pointer.style.left = `${Math.max(8, x)}px`;
    pointer.style.top = `${y}px`;
  };
  addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("[data-tip], [data-image]");
    pointer.hidden = !mark;
    if (!mark) return;
    tell(mark.dataset);
    move(event);
  });
  addEventListener("scroll", () => { pointer.hidden = true; }, { passive: true });
})();
