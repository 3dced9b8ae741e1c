"use strict";
// The table of questions: one row each, one column per image, a probability as a bar, other scales as numbers.
(function () {
  const MOST_ROWS = 150;
  const [ASKED, VALUE, , SCALE, STATUS, ERROR, PAYLOAD, LENGTH] = [...Array(8).keys()]; // of an answer
  const [ID, TEXT, TAG, JUDGE] = [...Array(4).keys()]; // of what was asked

  // takes: [{run, label, entry, scores}] -> groups of questions by role of their judge.
  UMM.questionTables = function (takes, judgeOf) {
    const groups = new Map();
    takes.forEach((take, column) => {
      for (const q of take.entry.questions) {
        const text = (i) => take.asked[q[ASKED]][i];
        const own = text(JUDGE) === judgeOf(take.run);
        const group = own ? "" : text(JUDGE);
        if (!groups.has(group)) groups.set(group, {judges: new Set(), rows: new Map()});
        const g = groups.get(group), key = text(ID) + "\n" + text(TEXT);
        g.judges.add(text(JUDGE));
        if (!g.rows.has(key)) g.rows.set(key, {id: text(ID), text: text(TEXT), tag: text(TAG), cells: []});
        g.rows.get(key).cells[column] = q;
      }
    });
    return [...groups.entries()].map(([name, g]) => table(name, g, takes));
  };

  function table(name, group, takes) {
    const used = takes.map((_, c) => c).filter((c) => [...group.rows.values()].some((r) => r.cells[c]));
    const head = UMM.el("tr", {}, UMM.el("th", {scope: "col"}, "question"),
      used.map((c) => UMM.el("th", {scope: "col", class: "answer"}, label(takes[c]))));
    const rows = [...group.rows.values()];
    const body = UMM.el("tbody", {});
    const draw = (list) => UMM.add(body, list.map((r) => row(r, used, takes)));
    draw(rows.slice(0, MOST_ROWS));
    const judges = [...group.judges].join(" · ");
    const isGate = takes.some((take) => UMM.store.runs[take.run].gates.includes(name));
    const out = UMM.el("section", {class: "questions"},
      UMM.el("h3", {}, !name ? "Questions" : isGate ? "Questions of gate verifier" : "Answers of another judge", " ",
        UMM.el("small", {}, rows.length + (rows.length === 1 ? " question" : " questions") + " · judge ", UMM.el("code", {}, judges))),
      UMM.el("div", {class: "scroll"}, UMM.el("table", {}, UMM.el("thead", {}, head), body)));
    if (rows.length > MOST_ROWS) {
      const more = UMM.el("button", {type: "button", on: {click: () => { draw(rows.slice(MOST_ROWS)); more.remove(); }}},
        "Show " + (rows.length - MOST_ROWS) + " more");
      out.append(more);
    }
    return out;
  }

  function label(take) {
    return [UMM.store.nRuns > 1 && UMM.badge(take.run), " ", take.label];
  }

  function row(r, used, takes) {
    const values = used.map((c) => r.cells[c]).filter(Boolean);
    const differ = values.length > 1 && values.some((q) => side(q) !== side(values[0]));
    return UMM.el("tr", {class: differ ? "differs" : null},
      UMM.el("th", {scope: "row"}, r.text || r.id, UMM.el("span", {class: "tag"}, r.tag)),
      used.map((c) => UMM.el("td", {class: "answer"}, r.cells[c] ? answer(r.cells[c], mark(takes[c], r.id)) : "–")));
  }

  function side(q) {
    if (q[VALUE] === null) return "missing";
    return q[SCALE] ? String(q[VALUE]) : q[VALUE] >= 0.5 ? "yes" : "no";
  }

  // The score of exactly this question, where the benchmark has one.
  function mark(take, id) {
    const score = take.scores.find((s) => s[0] === id);
    return score && (score[1] === 0 || score[1] === 1) ? score[1] : null;
  }

  function answer(q, right) {
    const parts = [];
    if (q[VALUE] === null) {
      parts.push(UMM.el("span", {class: "chip missing", title: q[ERROR] || null}, "? " + (q[STATUS] === "ok" ? "no value" : q[STATUS])));
      if (q[ERROR]) parts.push(UMM.el("span", {class: "why"}, q[ERROR]));
    } else if (q[SCALE]) {
      parts.push(UMM.el("span", {class: "value"}, UMM.number(q[VALUE], 3)));
    } else {
      parts.push(bar(q[VALUE]));
    }
    if (right !== null && q[VALUE] !== null)
      parts.push(UMM.el("span", {class: right ? "mark right" : "mark wrong", title: right ? "scored right" : "scored wrong"}, right ? "✓" : "✗"));
    if (q[PAYLOAD]) parts.push(payload(q));
    return parts;
  }

  function bar(value) {
    const fill = UMM.el("span", {class: "fill"});
    fill.style.width = (100 * value).toFixed(1) + "%";
    return UMM.el("span", {class: "bar", role: "img", "aria-label": "probability " + value.toFixed(3)},
      UMM.el("span", {class: "track"}, fill), UMM.el("span", {class: "value"}, value.toFixed(2)));
  }

  function payload(q) {
    let text = q[PAYLOAD];
    if (q[LENGTH] <= text.length) {
      try { text = JSON.stringify(JSON.parse(text), null, 1); } catch { /* shown as it is */ }
    } else {
      text += "\n… " + (q[LENGTH] - text.length).toLocaleString("en") + " more characters in judgements.jsonl";
    }
    return UMM.el("details", {class: "payload"}, UMM.el("summary", {title: "structured answer", "aria-label": "structured answer"}, "{…}"), UMM.el("pre", {}, text));
  }

  // Boxes of detections of an entry: [[class, x0, y0, x1, y1, confidence]]; empty where there are none.
  UMM.boxesOf = function (entry) {
    const boxes = [];
    for (const q of entry.questions || []) {
      if (!q[PAYLOAD] || q[LENGTH] > q[PAYLOAD].length || !q[PAYLOAD].includes('"detections"')) continue;
      let found;
      try { found = JSON.parse(q[PAYLOAD]).detections; } catch { continue; }
      for (const [name, list] of Object.entries(found || {}))
        if (Array.isArray(list)) for (const b of list) if (Array.isArray(b) && b.length >= 4 && b.every(Number.isFinite)) boxes.push([name, ...b]);
    }
    return boxes;
  };
})();
