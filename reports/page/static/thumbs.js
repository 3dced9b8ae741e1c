"use strict";
// Small pictures out of sprite sheets, and verdict chips.
(function () {
  let inside = null; // pictures of a single-file page: name -> base64, or the address made of it

  UMM.loadEmbedded = function () {
    const node = document.getElementById("images");
    inside = node ? new Map(Object.entries(JSON.parse(node.textContent))) : new Map();
  };

  // Address of a picture that is inside the page; empty where it is not.
  UMM.embedded = function (name) {
    const value = inside.get(name);
    if (!value || value.startsWith("blob:")) return value || "";
    const bytes = Uint8Array.from(atob(value), (c) => c.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], {type: "image/webp"}));
    inside.set(name, url);
    return url;
  };

  UMM.thumbUrl = function (run, thumb) {
    const name = UMM.store.runs[run].sheets[Math.floor(thumb / UMM.store.thumbs.per_sheet)];
    return UMM.embedded(name) || "page-data/" + name;
  };

  // A single-file page may have left sheets out.
  UMM.hasThumb = function (run, thumb) {
    return thumb >= 0 && !(UMM.isSingle && UMM.thumbUrl(run, thumb).startsWith("page-data/"));
  };

  // Puts picture `thumb` of a run into a square node of `size` pixels; -1 empties it.
  UMM.setThumb = function (node, run, thumb, size) {
    const has = UMM.hasThumb(run, thumb);
    node.classList.toggle("none", thumb < 0);
    if (!has) { node.style.backgroundImage = ""; return; }
    const {columns, per_sheet} = UMM.store.thumbs;
    const at = thumb % per_sheet;
    node.style.backgroundImage = 'url("' + UMM.thumbUrl(run, thumb) + '")';
    node.style.backgroundSize = columns * size + "px auto";
    node.style.backgroundPosition = -(at % columns) * size + "px " + -Math.floor(at / columns) * size + "px";
  };

  const WORDS = ["not in run", "right", "wrong", "", "missing"];
  const MARKS = ["", "✓ ", "✗ ", "", "? "];
  const KINDS = ["absent", "right", "wrong", "graded", "missing"];

  // {text, kind, title} of a cell's verdict.
  UMM.verdict = function (run, row) {
    const store = UMM.store, S = store.STATES, cells = store.cells[run];
    const state = cells.state[row], score = cells.score[row], missing = cells.missing[row];
    let text = MARKS[state] + WORDS[state];
    if (state === S.GRADED) text = UMM.number(score);
    else if (state === S.WRONG && cells.n[row] > 1) text = "✗ " + cells.right[row] + "/" + cells.n[row];
    if (missing && state !== S.MISSING) text += " · " + missing + " missing";
    return {text, kind: KINDS[state], title: store.reason(run, row)};
  };

  UMM.chip = function (run, row) {
    const v = UMM.verdict(run, row);
    return UMM.el("span", {class: "chip " + v.kind, title: v.title || null}, v.text);
  };
})();
