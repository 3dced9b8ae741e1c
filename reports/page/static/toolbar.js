"use strict";
// The bar of filters: options from the data, two-way with the filter's state.
(function () {
  const FIELDS = {q: "f-search", b: "f-benchmark", c: "f-category", v: "f-verdict", r: "f-run", d: "f-differ", o: "f-order"};
  const by = (id) => document.getElementById(id);

  function options(select, list) {
    const before = select.value;
    select.replaceChildren(...list.map(([value, text]) => UMM.el("option", {value}, text)));
    select.value = list.some(([value]) => value === before) ? before : "";
  }

  function categories(state) {
    const names = new Set();
    for (const b of UMM.store.benchmarks) if (!state.b || b.name === state.b) b.categories.forEach((c) => c && names.add(c));
    return [["", "all"], ...[...names].map((c) => [c, c])];
  }

  UMM.makeToolbar = function (change) {
    const store = UMM.store, letters = store.runs.map((r) => r.letter);
    options(by("f-benchmark"), [["", "all"], ...store.benchmarks.map((b) => [b.name, b.title])]);
    const verdicts = [["", "any"]];
    if (store.benchmarks.some((b) => b.binary)) verdicts.push(["right", "right"], ["wrong", "wrong"]);
    verdicts.push(["missing", "missing"], ["q1", "lowest quarter"], ["q2", "second quarter"], ["q3", "third quarter"], ["q4", "highest quarter"]);
    options(by("f-verdict"), verdicts);
    options(by("f-run"), [["", "any"], ...store.runs.map((r) => [r.letter, r.letter + " " + r.name])]);
    const pairs = letters.flatMap((a) => letters.filter((b) => b !== a).map((b) => [a + ">" + b, a + " better than " + b]));
    options(by("f-differ"), [["", "–"], ["any", "any two"], ...pairs.slice(0, 30)]);
    const orders = [["", "as run"], ["low", "lowest score"], ["high", "highest score"]];
    options(by("f-order"), store.nRuns > 1 ? [...orders, ["spread", "largest difference"]] : orders);
    document.body.classList.toggle("single-run", store.nRuns < 2);
    const read = () => change(readState());
    for (const id of Object.values(FIELDS)) by(id).addEventListener("input", read);
    by("f-missing").addEventListener("change", read);
    by("f-benchmark").addEventListener("input", () => options(by("f-category"), categories(readState())), {capture: true});
    by("f-reset").addEventListener("click", () => { UMM.writeToolbar(UMM.DEFAULTS); read(); });
    by("filters").addEventListener("submit", (event) => event.preventDefault());
    options(by("f-category"), categories(UMM.DEFAULTS));
  };

  function readState() {
    const state = {...UMM.DEFAULTS};
    for (const [name, id] of Object.entries(FIELDS)) state[name] = by(id).value;
    state.m = by("f-missing").checked ? "1" : "";
    return state;
  }

  UMM.writeToolbar = function (state) {
    by("f-benchmark").value = state.b;
    options(by("f-category"), categories(state));
    for (const [name, id] of Object.entries(FIELDS)) if (by(id).value !== state[name]) by(id).value = state[name];
    by("f-missing").checked = Boolean(state.m);
    return readState();
  };

  UMM.toggleMissing = function () {
    by("f-missing").click();
  };

  UMM.showCount = function (found, all) {
    by("f-count").textContent = found === all ? all.toLocaleString("en") + " samples" : found.toLocaleString("en") + " of " + all.toLocaleString("en");
  };
})();
