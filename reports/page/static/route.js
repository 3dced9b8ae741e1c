"use strict";
// The address's fragment holds the view, the filters and the open sample: `#samples?b=geneval&v=wrong&s=KEY`.
(function () {
  let last = null;

  UMM.readRoute = function () {
    const text = location.hash.slice(1);
    const at = text.indexOf("?");
    const view = (at < 0 ? text : text.slice(0, at)) === "samples" ? "samples" : "overview";
    const given = new URLSearchParams(at < 0 ? "" : text.slice(at + 1));
    const state = {...UMM.DEFAULTS};
    for (const name of Object.keys(state)) if (given.has(name)) state[name] = given.get(name);
    return {view, state, sample: given.get("s") || ""};
  };

  UMM.routeText = function (view, state, sample) {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) if (value) given.set(name, value);
    if (sample) given.set("s", sample);
    const query = given.toString();
    return "#" + view + (query ? "?" + query : "");
  };

  // `isStep`: the browser's Back button shall come back to what is shown now.
  UMM.writeRoute = function (view, state, sample, isStep) {
    const text = UMM.routeText(view, state, sample);
    if (text === last) return;
    last = text;
    if (isStep) location.hash = text;
    else location.replace(text);
  };

  UMM.onRoute = function (show) {
    window.addEventListener("hashchange", () => {
      if (location.hash === last) return;
      last = location.hash;
      show(UMM.readRoute());
    });
    last = location.hash;
  };
})();
