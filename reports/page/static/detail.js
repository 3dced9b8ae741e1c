"use strict";
// One opened sample: prompt, images of every run with refinements beside the first one, texts, questions, scores.
(function () {
  let node, onClose, onStep, opened = -1, showBoxes = false;

  UMM.makeDetail = function (element, actions) {
    node = element;
    ({close: onClose, step: onStep} = actions);
  };

  UMM.openedRow = () => opened;

  UMM.closeDetail = function () {
    opened = -1;
    node.hidden = true;
    node.replaceChildren();
    document.body.classList.remove("reading");
  };

  UMM.openDetail = async function (row) {
    const store = UMM.store;
    opened = row;
    node.hidden = false;
    node.setAttribute("aria-busy", "true");
    document.body.classList.add("reading");
    let entries;
    try {
      entries = await Promise.all(store.runs.map((_, run) => store.details(run, row)));
    } catch (error) {
      if (opened === row) node.replaceChildren(header(row), UMM.el("p", {class: "warning"}, error.message));
      return;
    }
    if (opened !== row) return; // another one was opened meanwhile
    const hasBoxes = entries.some((e) => e && !e.left_out && UMM.boxesOf(e).length > 0);
    node.replaceChildren(header(row, hasBoxes), ...content(row, entries));
    node.removeAttribute("aria-busy");
    node.dataset.row = store.key(row);
    node.scrollTop = 0;
  };

  UMM.toggleBoxes = function () {
    showBoxes = !showBoxes;
    node.classList.toggle("boxes", showBoxes);
    for (const button of node.querySelectorAll(".boxes-button")) button.setAttribute("aria-pressed", showBoxes);
  };

  function header(row, hasBoxes) {
    const store = UMM.store;
    const button = (text, label, f) => UMM.el("button", {type: "button", class: "quiet", "aria-label": label, title: label, on: {click: f}}, text);
    return UMM.el("header", {},
      UMM.el("div", {class: "bar-line"}, UMM.el("span", {class: "meta"}, UMM.metaText(row)),
        UMM.el("span", {class: "buttons"},
          hasBoxes && UMM.el("button", {type: "button", class: "quiet boxes-button", "aria-pressed": String(showBoxes), title: "Boxes of detections (b)", on: {click: UMM.toggleBoxes}}, "boxes"),
          button("‹", "Previous sample (k)", () => onStep(-1)),
          button("›", "Next sample (j)", () => onStep(1)), button("✕", "Close (Esc)", onClose))),
      UMM.el("h2", {class: "prompt"}, store.text(row) ?? "(prompt text was not stored)"));
  }

  function content(row, entries) {
    const store = UMM.store, parts = [];
    const sources = entries.map((e) => e && e.sources).find((s) => s && s.length);
    if (store.incomparable.some(([b, run]) => b === store.benchOf(row) && entries[run]))
      parts.push(UMM.el("p", {class: "warning"}, "Profile, protocol, judge or data of these runs differ (see the overview): their verdicts do not compare."));
    parts.push(UMM.el("div", {class: "runs"}, sources && sourceFigures(sources), entries.map((entry, run) => column(run, row, entry))));
    const takes = takesOf(entries);
    parts.push(...UMM.questionTables(takes, (run) => store.runs[run].judges[store.benchOf(row)]));
    parts.push(...replies(takes));
    return parts;
  }

  // Every image that was judged: the first one of each run and its refinements.
  function takesOf(entries) {
    const takes = [];
    entries.forEach((entry, run) => {
      if (!entry || entry.left_out) return;
      takes.push({run, label: entry.refined ? "first" : "", entry, scores: entry.scores, asked: entry.asked});
      for (const r of entry.refined || [])
        if (r.questions.length) takes.push({run, label: armName(r) + " " + r.round, entry: r, scores: r.scores, asked: entry.asked});
    });
    return takes;
  }

  const armName = (r) => (r.arm === "again" ? "control" : r.arm === "refine" ? "refined" : r.arm || "refined");

  function sourceFigures(sources) {
    const figures = sources.map((source) => {
      if (typeof source === "string") return UMM.el("p", {class: "note"}, "Source image not shown: " + source);
      const [file, width, height] = source;
      if (UMM.isSingle && !UMM.embedded(file)) return UMM.el("p", {class: "note"}, "The source image was left out of this file.");
      return UMM.el("figure", {}, picture(UMM.embedded(file) || "page-data/" + file, width, height, "source image", null),
        UMM.el("figcaption", {}, width + "×" + height));
    });
    return UMM.el("section", {class: "run"}, UMM.el("h3", {}, "source"), UMM.el("div", {class: "images"}, figures));
  }

  function column(run, row, entry) {
    const store = UMM.store;
    const title = UMM.el("h3", {}, store.nRuns > 1 && UMM.badge(run), " ", UMM.el("span", {class: "name"}, store.runs[run].name), " ", UMM.chip(run, row));
    if (!entry) return UMM.el("section", {class: "run absent"}, title, UMM.el("p", {class: "note"}, "This run has no such sample."));
    if (entry.left_out) return UMM.el("section", {class: "run"}, title, UMM.el("p", {class: "note"}, "The details of this sample were left out of this file to keep it small; the page written without --embed has them."));
    const images = [figure(run, entry, entry.refined ? "first image" : "", entry.refined ? scoreLine([...entry.scores, ...(entry.gate || [])]) : null)];
    for (const r of entry.refined || [])
      images.push(figure(run, r, armName(r) + " " + r.round + parentText(entry, r), scoreLine(r.scores)));
    return UMM.el("section", {class: "run"}, title,
      UMM.el("div", {class: "images"}, images),
      entry.refined_note && UMM.el("p", {class: "note"}, "Refinements without scores: " + entry.refined_note),
      scoresOf(run, row, entry),
      texts(entry), settings(entry.image));
  }

  function parentText(entry, r) {
    if (r.parent <= 0 || !entry.refined[r.parent - 1]) return "";
    const parent = entry.refined[r.parent - 1];
    return " of " + armName(parent) + " " + parent.round;
  }

  function figure(run, sample, caption, below) {
    const image = sample.image;
    if (!image || !image.file) {
      const words = !image ? "no record of an image" : (image.status === "ok" ? "" : image.status + ": ") + (image.error || "no image");
      return UMM.el("figure", {class: "image none"}, UMM.el("div", {class: "empty"}, UMM.el("span", {class: "chip missing"}, "? no image"), UMM.el("span", {class: "why"}, words)),
        UMM.el("figcaption", {}, caption));
    }
    const [width, height] = image.size;
    const path = image.file.split("/").map(encodeURIComponent).join("/");
    const inside = UMM.embedded(run + "/" + image.file);
    if (UMM.isSingle && !inside && !UMM.hasThumb(run, image.thumb)) return UMM.el("figure", {class: "image none"}, UMM.el("div", {class: "empty"}, UMM.el("span", {class: "why"}, "The image was left out of this file.")), UMM.el("figcaption", {}, caption));
    const shown = inside || (UMM.isSingle ? null : UMM.store.runs[run].base + "/" + path);
    return UMM.el("figure", {class: "image"},
      shown ? picture(shown, width, height, caption, {run, thumb: image.thumb, boxes: UMM.boxesOf(sample), isLink: !inside})
        : thumbPicture({run, thumb: image.thumb}),
      UMM.el("figcaption", {title: width + "×" + height}, caption || width + "×" + height, below));
  }

  function picture(url, width, height, alt, extra) {
    const img = UMM.el("img", {src: url, alt, decoding: "async", class: Math.max(width, height) <= 160 ? "pixels" : null});
    const frame = UMM.el("div", {class: "frame"}, img);
    frame.style.aspectRatio = width + " / " + height;
    if (extra) {
      if (extra.boxes.length) frame.append(boxes(extra.boxes, width, height));
      img.addEventListener("error", () => {
        frame.replaceChildren(thumbPicture(extra));
        frame.after(UMM.el("span", {class: "why"}, "the original is not where it was: thumbnail"));
      }, {once: true});
    }
    return extra && !extra.isLink ? frame : UMM.el("a", {href: url, target: "_blank", rel: "noopener", class: "original"}, frame);
  }

  function thumbPicture(extra) {
    const node = UMM.el("span", {class: "thumb large", role: "img", "aria-label": "thumbnail"});
    UMM.setThumb(node, extra.run, extra.thumb, 192);
    return node;
  }

  function boxes(list, width, height) {
    const unit = Math.max(width, height) / 100;
    return UMM.svg("svg", {class: "overlay", viewBox: "0 0 " + width + " " + height, "aria-hidden": "true"},
      list.slice(0, 200).map(([name, x0, y0, x1, y1, confidence]) => UMM.svg("g", {},
        UMM.svg("rect", {x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0), "vector-effect": "non-scaling-stroke"}),
        UMM.svg("text", {x: x0, y: Math.max(4 * unit, y0 - unit), "font-size": 4.5 * unit}, name + (confidence === undefined ? "" : " " + confidence.toFixed(2))))));
  }

  function scoreLine(scores) {
    const known = scores.filter((s) => s[1] !== null);
    if (!scores.length) return null;
    const own = known.filter((s) => s[0] !== "gate"), gate = known.find((s) => s[0] === "gate");
    const missing = scores.length - known.length, parts = [];
    if (own.length) {
      const binary = own.every((s) => s[1] === 0 || s[1] === 1), right = own.filter((s) => s[1] === 1).length;
      const text = !binary ? own.map((s) => s[0] + " " + UMM.number(s[1])).join(", ") : right === own.length ? "✓ right" : own.length === 1 ? "✗ wrong" : "✗ " + right + "/" + own.length;
      parts.push(UMM.el("span", {class: "chip " + (!binary ? "graded" : right === own.length && !missing ? "right" : "wrong")}, text));
    }
    if (missing) parts.push(UMM.el("span", {class: "chip missing"}, "? " + missing + " missing"));
    if (gate) parts.push(UMM.el("span", {class: "note", title: "reward of gate verifier"}, "gate " + UMM.number(gate[1], 3)));
    return UMM.el("span", {class: "scores"}, parts);
  }

  // Scores that do not stand beside their question already; several questions as their share that is right.
  function scoresOf(run, row, entry) {
    const store = UMM.store, subject = store.subject(row), cells = store.cells[run], own = entry.scores;
    const asked = new Set(entry.questions.map((q) => entry.asked[q[0]][0]));
    const isList = subject.binary && own.length > 1;
    const lines = [];
    if (isList && store.score(run, row) !== null)
      lines.push(UMM.el("li", {}, UMM.el("span", {class: "metric"}, subject.score), " ", UMM.el("strong", {}, UMM.number(store.score(run, row), 3)),
        UMM.el("span", {class: "note"}, " " + cells.right[row] + " of " + cells.n[row])));
    for (const [metric, value, reason] of isList ? own.filter((s) => !asked.has(s[0])) : own)
      lines.push(UMM.el("li", {}, UMM.el("span", {class: "metric"}, metric), " ",
        value === null ? UMM.el("span", {class: "chip missing"}, "? missing") : UMM.el("strong", {}, UMM.number(value, 3)),
        reason && UMM.el("span", {class: "why"}, reason.replace(/^missing: /, ""))));
    return lines.length > 0 && UMM.el("ul", {class: "scores"}, lines.slice(0, 60), lines.length > 60 && UMM.el("li", {class: "note"}, lines.length - 60 + " more"));
  }

  function texts(entry) {
    const all = [["reasoning", entry.image], ...(entry.refined || []).map((r) => [r.arm === "again" ? "control " + r.round + ", reasoning" : "reflection, round " + r.round, r.image])];
    return all.filter(([, image]) => image && image.text).map(([name, image]) =>
      UMM.el("div", {class: "said"}, UMM.el("h4", {}, name), UMM.el("p", {}, image.text)));
  }

  function settings(image) {
    if (!image) return null;
    let params = image.params;
    try { params = Object.entries(JSON.parse(params)).map(([k, v]) => k + ": " + (typeof v === "object" ? JSON.stringify(v) : v)).join("\n"); } catch { /* shown as it is */ }
    const time = image.seconds ? "\nseconds: " + image.seconds : "";
    return UMM.el("details", {class: "settings"}, UMM.el("summary", {}, "settings"), UMM.el("pre", {}, "seed: " + image.seed + "\n" + params + time));
  }

  function replies(takes) {
    const parts = [];
    for (const take of takes)
      for (const [raw, length, tokensIn, tokensOut, attempts] of take.entry.replies) {
        if (!raw) continue;
        const cost = [tokensIn && tokensIn + " tokens in", tokensOut && tokensOut + " out", attempts > 1 && attempts + " attempts"].filter(Boolean).join(", ");
        parts.push(UMM.el("div", {class: "reply"}, UMM.el("h4", {}, UMM.store.nRuns > 1 && UMM.badge(take.run), " ", take.label, " ", cost && UMM.el("small", {}, cost)),
          UMM.el("pre", {}, raw, length > raw.length && "\n… " + (length - raw.length).toLocaleString("en") + " more characters in judgements.jsonl")));
      }
    return parts.length ? [UMM.el("details", {class: "replies", open: true}, UMM.el("summary", {}, "Judge's replies (" + parts.length + ")"), parts)] : [];
  }
})();
