"use strict";
// The page's data: the list's columns, read at once, and files of details, loaded when a sample is opened.
(function () {
  const waiting = new Map(); // name -> {promise, resolve}
  const MOST_FILES = 24; // details kept in memory; the oldest goes first

  const STATES = {ABSENT: 0, RIGHT: 1, WRONG: 2, GRADED: 3, MISSING: 4};

  function slot(name) {
    if (!waiting.has(name)) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, {resolve, reject}));
      waiting.set(name, entry);
    }
    return waiting.get(name);
  }

  // Called by data files.
  UMM.receive = function (name, text) {
    slot(name).resolve(JSON.parse(text));
  };

  async function unpack(node) {
    const bytes = Uint8Array.from(atob(node.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // A page that opens files cannot fetch from the file system; script elements can.
  function request(name) {
    if (waiting.has(name)) return waiting.get(name).promise;
    const entry = slot(name);
    const inside = document.getElementById("data-" + name);
    if (inside) {
      unpack(inside).then(entry.resolve, entry.reject);
    } else {
      const script = UMM.el("script", {src: "page-data/" + name + ".js"});
      script.addEventListener("error", () => {
        waiting.delete(name);
        entry.reject(new Error("page-data/" + name + ".js cannot be loaded. Keep the folder beside index.html."));
      });
      script.addEventListener("load", () => script.remove());
      document.head.append(script);
    }
    return entry.promise;
  }

  UMM.receiveIndex = function () {
    return document.getElementById("data-index") ? request("index") : slot("index").promise;
  };

  UMM.makeStore = function (index) {
    const {prompts, rows, benchmarks, cells, runs} = index;
    const n = rows.prompt.length;
    const store = {
      ...index, n, STATES, nRuns: runs.length,
      benchOf: (row) => prompts.bench[rows.prompt[row]],
      subject: (row) => benchmarks[prompts.bench[rows.prompt[row]]],
      promptId: (row) => prompts.id[rows.prompt[row]],
      text: (row) => prompts.text[rows.prompt[row]],
      category: (row) => benchmarks[store.benchOf(row)].categories[prompts.cat[rows.prompt[row]]],
      key: (row) => [benchmarks[store.benchOf(row)].name, store.promptId(row), rows.seed[row], rows.index[row]].join("|"),
      state: (run, row) => cells[run].state[row],
      score: (run, row) => cells[run].score[row],
      // 0 .. 1, so that benchmarks with different scales can be compared and sorted; null without a score
      unit: (run, row) => {
        const score = cells[run].score[row], subject = store.subject(row);
        if (score === null) return null;
        return subject.binary || subject.high <= subject.low ? score : (score - subject.low) / (subject.high - subject.low);
      },
      reason: (run, row) => index.reasons[cells[run].reason[row]],
    };
    const byKey = new Map();
    for (let row = 0; row < n; row++) byKey.set(store.key(row), row);
    store.rowOf = (key) => byKey.get(key);
    store.quartiles = quartiles(store);
    // Reasoning texts in lower case by run and row; read when the search is first used.
    store.thoughts = null;
    store.loadThoughts = async function () {
      const texts = await Promise.all(runs.map((_, run) => request("texts-" + run)));
      store.thoughts = texts.map((of_run) => of_run.map((t) => t.toLowerCase()));
    };
    const order = [];
    // The entry of a row in a run: null where the run has no such sample or the file was left out.
    store.details = async function (run, row) {
      if (cells[run].state[row] === STATES.ABSENT) return null;
      const starts = runs[run].starts;
      let file = starts.length - 1;
      while (file > 0 && starts[file] > row) file--;
      const name = "details-" + run + "-" + file;
      if (runs[run].left_out !== undefined && file >= runs[run].left_out) return {left_out: true};
      const value = await request(name);
      if (!order.includes(name)) order.push(name);
      while (order.length > MOST_FILES) waiting.delete(order.shift());
      const entry = value.entries[row - starts[file]];
      return entry && {...entry, asked: value.asked};
    };
    return store;
  };

  // Per benchmark the three values that part its scores into quarters, over all runs.
  function quartiles(store) {
    const values = store.benchmarks.map(() => []);
    for (let run = 0; run < store.nRuns; run++)
      for (let row = 0; row < store.n; row++) {
        const score = store.score(run, row);
        if (score !== null) values[store.benchOf(row)].push(score);
      }
    return values.map((v) => {
      v.sort((a, b) => a - b);
      return [0.25, 0.5, 0.75].map((q) => (v.length ? v[Math.min(v.length - 1, Math.floor(q * v.length))] : 0));
    });
  }
})();
