"use strict";
// Keys act on the page except while something is typed.
(function () {
  const isTyping = (node) => node.matches("input[type=search], select, textarea");

  UMM.makeKeyboard = function (actions) {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const typing = event.target instanceof Element && isTyping(event.target);
      if (typing) {
        if (event.key === "Escape" || (event.key === "Enter" && event.target.type === "search")) { actions.leave(); event.preventDefault(); }
        return;
      }
      const onControl = event.target instanceof Element && event.target.closest("a, button, summary, input");
      if (event.key === "Enter" && onControl) return;
      const action = actions[NAMES[event.key]];
      if (action) { event.preventDefault(); action(); }
    });
  };

  const NAMES = {
    j: "next", ArrowDown: "next", k: "previous", ArrowUp: "previous", Enter: "open", Escape: "close", "/": "search", "?": "help",
    Home: "first", End: "last", PageDown: "pageDown", PageUp: "pageUp", o: "overview", s: "samples", m: "missing", b: "boxes",
  };
})();
