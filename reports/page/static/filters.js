"use strict";
// Which rows are shown, in which order: pure functions of the store and of the filter's state.
(function () {
  UMM.DEFAULTS = {q: "", b: "", c: "", v: "", r: "", d: "", o: "", m: ""};

  const QUARTERS = {q1: 0, q2: 1, q3: 2, q4: 3};
  const DIFFERENT = 0.25; // of the scale

  function verdictTest(store, v) {
    const S = store.STATES;
    if (v === "right") return (run, row) => store.state(run, row) === S.RIGHT;
    if (v === "wrong") return (run, row) => store.state(run, row) === S.WRONG;
    if (v === "missing") return (run, row) => store.state(run, row) === S.MISSING;
    const wanted = QUARTERS[v];
    return (run, row) => {
      const score = store.score(run, row);
      if (score === null) return false;
      const cuts = store.quartiles[store.benchOf(row)];
      return (score < cuts[0] ? 0 : score < cuts[1] ? 1 : score < cuts[2] ? 2 : 3) === wanted;
    };
  }

  // Whether two runs disagree on a row: other verdicts, or scores a quarter of the scale apart. Missing is no verdict.
  UMM.disagree = function (store, a, b, row) {
    const S = store.STATES, x = store.state(a, row), y = store.state(b, row);
    if (x === S.ABSENT || y === S.ABSENT || x === S.MISSING || y === S.MISSING) return false;
    return x !== y || Math.abs(store.unit(a, row) - store.unit(b, row)) >= DIFFERENT;
  };

  UMM.spread = function (store, row) {
    let low = Infinity, high = -Infinity;
    for (let run = 0; run < store.nRuns; run++) {
      const unit = store.unit(run, row);
      if (unit !== null) { low = Math.min(low, unit); high = Math.max(high, unit); }
    }
    return high - low > 0 ? high - low : 0;
  };

  function differTest(store, d) {
    if (d === "any") return (row) => {
      for (let a = 0; a < store.nRuns; a++)
        for (let b = a + 1; b < store.nRuns; b++) if (UMM.disagree(store, a, b, row)) return true;
      return false;
    };
    const [better, worse] = d.split(">").map((letter) => store.runs.findIndex((run) => run.letter === letter));
    if (better < 0 || worse === undefined || worse < 0) return null;
    return (row) => UMM.disagree(store, better, worse, row) && store.unit(better, row) > store.unit(worse, row);
  }

  function searchTest(store, q) {
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return null;
    const has = (text) => words.every((w) => text.includes(w));
    const thoughts = store.thoughts || [];
    const prompts = store.haystacks().map(has);
    const reasons = store.reasonTexts().map(has);
    return (row) => {
      if (prompts[store.rows.prompt[row]]) return true;
      for (let run = 0; run < store.nRuns; run++)
        if (reasons[store.cells[run].reason[row]] || (thoughts[run] && thoughts[run][row] && has(thoughts[run][row]))) return true;
      return false;
    };
  }

  // Lower-case texts to search in, made once.
  UMM.prepareSearch = function (store) {
    let prompts = null, reasons = null;
    store.haystacks = () => (prompts ||= store.prompts.id.map((id, i) => {
      const subject = store.benchmarks[store.prompts.bench[i]];
      return [store.prompts.text[i] || "", id, subject.categories[store.prompts.cat[i]]].join("\n").toLowerCase();
    }));
    store.reasonTexts = () => (reasons ||= store.reasons.map((r) => r.toLowerCase()));
  };

  UMM.applyFilters = function (store, state) {
    const S = store.STATES, tests = [];
    const runs = [...Array(store.nRuns).keys()];
    const asked = runs.filter((run) => !state.r || store.runs[run].letter === state.r);
    const inRuns = (test) => (row) => asked.some((run) => test(run, row));
    if (state.b) {
      const bench = store.benchmarks.findIndex((b) => b.name === state.b);
      tests.push((row) => store.benchOf(row) === bench);
    }
    if (state.c) tests.push((row) => store.category(row) === state.c);
    if (state.r) tests.push((row) => store.state(asked[0], row) !== S.ABSENT);
    if (state.v) tests.push(inRuns(verdictTest(store, state.v)));
    if (state.m) tests.push(inRuns((run, row) => store.cells[run].missing[row] > 0 || store.state(run, row) === S.MISSING));
    if (state.d) { const test = differTest(store, state.d); if (test) tests.push(test); }
    const search = searchTest(store, state.q);
    if (search) tests.push(search);
    const found = [];
    for (let row = 0; row < store.n; row++) if (tests.every((test) => test(row))) found.push(row);
    return ordered(store, found, state.o, asked);
  };

  function ordered(store, found, order, asked) {
    if (!order) return found;
    const value = new Map();
    for (const row of found) {
      if (order === "spread") { value.set(row, -UMM.spread(store, row)); continue; }
      const units = asked.map((run) => store.unit(run, row)).filter((u) => u !== null);
      const mean = units.length ? units.reduce((a, b) => a + b, 0) / units.length : Infinity;
      value.set(row, order === "high" && mean !== Infinity ? -mean : mean);
    }
    const compare = (a, b) => (value.get(a) === value.get(b) ? a - b : value.get(a) < value.get(b) ? -1 : 1);
    return found.sort(compare);
  }
})();
