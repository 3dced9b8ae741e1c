"use strict";
// The list of samples. Only the rows in sight exist as elements; they are reused while scrolling.
(function () {
  const ROW_PX = 68, THUMB_PX = 56, SPARE = 6;
  const MOST_PX = 8e6; // browsers cut very high elements off; beyond this, scrolling is scaled
  let box, spacer, shown = [], pool = [], at = -1, onOpen = null, isAsked = false;

  UMM.makeList = function (node, open) {
    box = node;
    onOpen = open;
    spacer = UMM.el("div", {class: "spacer", role: "presentation"});
    box.append(spacer);
    box.addEventListener("scroll", ask, {passive: true});
    new ResizeObserver(ask).observe(box);
  };

  const ask = () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => { isAsked = false; draw(); });
  };

  const full = () => shown.length * ROW_PX;
  const height = () => Math.min(full(), MOST_PX);
  // Distance from the top of all rows, from the scrolled distance, and back.
  const scale = () => (full() > MOST_PX ? (full() - box.clientHeight) / Math.max(1, MOST_PX - box.clientHeight) : 1);

  UMM.showRows = function (rows) {
    const row = UMM.selectedRow();
    shown = rows;
    at = rows.indexOf(row);
    spacer.style.height = height() + "px";
    if (at < 0) { at = rows.length ? 0 : -1; box.scrollTop = 0; } else reveal();
    draw();
  };

  UMM.shownRows = () => shown;
  UMM.selectedRow = () => (at >= 0 && at < shown.length ? shown[at] : -1);
  UMM.position = () => at;

  UMM.select = function (position) {
    if (!shown.length) return -1;
    at = Math.max(0, Math.min(shown.length - 1, position));
    reveal();
    draw();
    return shown[at];
  };

  UMM.selectRow = function (row) {
    const position = shown.indexOf(row);
    if (position >= 0) UMM.select(position);
    return position >= 0;
  };

  UMM.pageOfRows = () => Math.max(1, Math.floor(box.clientHeight / ROW_PX) - 1);

  function reveal() {
    const s = scale(), top = at * ROW_PX, view = box.scrollTop * s;
    if (top < view) box.scrollTop = top / s;
    else if (top + ROW_PX > view + box.clientHeight) box.scrollTop = (top + ROW_PX - box.clientHeight) / s + 1;
  }

  function draw() {
    const s = scale(), view = box.scrollTop * s;
    const first = Math.max(0, Math.floor(view / ROW_PX) - SPARE);
    const end = Math.min(shown.length, Math.ceil((view + box.clientHeight) / ROW_PX) + SPARE);
    while (pool.length < end - first) pool.push(makeRow());
    for (let i = 0; i < pool.length; i++) {
      const item = pool[i], position = first + i;
      item.node.hidden = position >= end;
      if (position >= end) continue;
      fill(item, position);
      item.node.style.transform = "translateY(" + (position * ROW_PX - view + box.scrollTop) + "px)";
    }
    const active = at >= first && at < end ? pool[at - first].node.id : null;
    if (active) box.setAttribute("aria-activedescendant", active);
    else box.removeAttribute("aria-activedescendant");
  }

  function makeRow() {
    const n = UMM.store.nRuns, item = {position: -1, row: -1};
    item.thumbs = [...Array(n)].map(() => UMM.el("span", {class: "thumb"}));
    item.chips = [...Array(n)].map(() => UMM.el("span", {class: "chip"}));
    item.prompt = UMM.el("span", {class: "prompt"});
    item.meta = UMM.el("span", {class: "meta"});
    const chips = item.chips.map((chip, run) => UMM.el("span", {class: "cell"}, n > 1 && UMM.badge(run), chip));
    item.node = UMM.el("div", {class: "row", role: "option", id: "row-" + pool.length},
      UMM.el("span", {class: "thumbs"}, item.thumbs),
      UMM.el("span", {class: "words"}, item.prompt, item.meta),
      UMM.el("span", {class: "chips"}, chips));
    item.node.addEventListener("click", () => { UMM.select(item.position); onOpen(item.row); });
    spacer.append(item.node);
    return item;
  }

  function fill(item, position) {
    const store = UMM.store, row = shown[position];
    item.node.setAttribute("aria-selected", position === at);
    item.node.setAttribute("aria-posinset", position + 1);
    item.node.setAttribute("aria-setsize", shown.length);
    item.position = position;
    if (item.row === row) return;
    item.row = row;
    item.prompt.textContent = store.text(row) ?? "(prompt text was not stored)";
    item.meta.textContent = UMM.metaText(row);
    for (let run = 0; run < store.nRuns; run++) {
      UMM.setThumb(item.thumbs[run], run, store.cells[run].thumb[row], THUMB_PX);
      const v = UMM.verdict(run, row), chip = item.chips[run];
      chip.className = "chip " + v.kind;
      chip.textContent = v.text;
      chip.title = v.title;
    }
    item.node.classList.toggle("differs", store.nRuns > 1 && UMM.differs(row));
  }

  UMM.differs = function (row) {
    for (let a = 0; a < UMM.store.nRuns; a++)
      for (let b = a + 1; b < UMM.store.nRuns; b++) if (UMM.disagree(UMM.store, a, b, row)) return true;
    return false;
  };

  UMM.metaText = function (row) {
    const store = UMM.store, parts = [];
    if (store.benchmarks.length > 1) parts.push(store.subject(row).title);
    if (store.category(row)) parts.push(store.category(row));
    parts.push(store.promptId(row), "seed " + store.rows.seed[row], "sample " + store.rows.index[row]);
    return parts.join(" · ");
  };
})();
