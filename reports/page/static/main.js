"use strict";
// Puts the parts together: one state (view, filters, open sample), shown and written into the address.
(function () {
  const by = (id) => document.getElementById(id);
  let view = "overview", state = {...UMM.DEFAULTS};

  let isAsked = false;

  // Reasoning texts are searched as soon as they are there.
  function askThoughts() {
    if (isAsked) return;
    isAsked = true;
    UMM.store.loadThoughts().then(() => { if (state.q) apply(); }, () => { isAsked = false; });
  }

  function apply() {
    if (state.q) askThoughts();
    const found = UMM.applyFilters(UMM.store, state);
    UMM.showRows(found);
    UMM.showCount(found.length, UMM.store.n);
    by("list").classList.toggle("empty", !found.length);
  }

  const openKey = () => (UMM.openedRow() >= 0 ? UMM.store.key(UMM.openedRow()) : "");
  const write = (isStep) => UMM.writeRoute(view, view === "samples" ? state : UMM.DEFAULTS, view === "samples" ? openKey() : "", isStep);

  function setView(name) {
    view = name;
    for (const other of ["overview", "samples"]) {
      by("view-" + other).hidden = other !== name;
      if (other === name) by("tab-" + other).setAttribute("aria-current", "page");
      else by("tab-" + other).removeAttribute("aria-current");
    }
    document.body.dataset.view = name;
  }

  function change(next) {
    state = next;
    apply();
    write(false);
  }

  function open(row, isStep) {
    if (row < 0) return;
    UMM.openDetail(row);
    write(isStep);
  }

  function close() {
    if (UMM.openedRow() < 0) return;
    UMM.closeDetail();
    by("list").focus({preventScroll: true});
    write(true);
  }

  function step(to) {
    if (view !== "samples") return;
    const row = UMM.select(to);
    if (UMM.openedRow() >= 0 && row >= 0) open(row, false);
  }

  // What the address says.
  function show(route) {
    setView(route.view);
    if (route.view !== "samples") { UMM.closeDetail(); return; }
    state = UMM.writeToolbar(route.state);
    apply();
    const row = route.sample ? UMM.store.rowOf(route.sample) : undefined;
    if (row === undefined) UMM.closeDetail();
    else {
      UMM.selectRow(row);
      UMM.openDetail(row);
    }
  }

  function go(name) {
    setView(name);
    if (name === "samples") { apply(); by("list").focus({preventScroll: true}); }
    write(true);
  }

  const keys = {
    next: () => step(UMM.position() + 1),
    previous: () => step(UMM.position() - 1),
    first: () => step(0),
    last: () => step(Infinity),
    pageDown: () => step(UMM.position() + UMM.pageOfRows()),
    pageUp: () => step(UMM.position() - UMM.pageOfRows()),
    open: () => { if (view === "samples") { open(UMM.selectedRow(), UMM.openedRow() < 0); by("detail").focus({preventScroll: true}); } },
    close,
    search: () => { if (view !== "samples") go("samples"); by("f-search").focus(); by("f-search").select(); },
    leave: () => by("list").focus({preventScroll: true}),
    help: () => by("help").showModal(),
    overview: () => go("overview"),
    samples: () => go("samples"),
    missing: () => { if (view === "samples") UMM.toggleMissing(); },
    boxes: () => UMM.toggleBoxes(),
  };

  // A value in the overview leads to the samples behind it: its benchmark, and its category where the name says one.
  function follow(link) {
    const subject = UMM.store.benchmarks.find((b) => b.name === link.dataset.benchmark);
    if (!subject) return;
    const parts = link.dataset.metric.split("/");
    const category = subject.categories.find((c) => c && (parts.includes(c) || link.dataset.metric.endsWith("/" + c)));
    state = UMM.writeToolbar({...UMM.DEFAULTS, b: subject.name, c: category || ""});
    UMM.closeDetail();
    go("samples");
  }

  function listen() {
    by("help-button").addEventListener("click", keys.help);
    by("view-overview").addEventListener("click", (event) => {
      const link = event.target.closest("a[data-benchmark]");
      if (link) { event.preventDefault(); follow(link); }
    });
    for (const name of ["overview", "samples"])
      by("tab-" + name).addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go(name);
      });
    by("f-search").addEventListener("focus", askThoughts);
    UMM.makeKeyboard(keys);
    UMM.onRoute(show);
  }

  async function start() {
    const index = await UMM.receiveIndex();
    UMM.store = UMM.makeStore(index);
    UMM.isSingle = Boolean(index.single);
    UMM.prepareSearch(UMM.store);
    UMM.loadEmbedded();
    UMM.makeList(by("list"), (row) => open(row, UMM.openedRow() < 0));
    UMM.makeDetail(by("detail"), {close, step: (by_) => step(UMM.position() + by_)});
    UMM.makeToolbar(change);
    listen();
    show(UMM.readRoute());
    document.documentElement.dataset.ready = "1";
    requestAnimationFrame(() => setTimeout(() => { document.documentElement.dataset.readyMs = performance.now().toFixed(1); }));
  }

  start();
})();
