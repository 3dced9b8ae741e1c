"use strict";
// Elements made from data. Text enters the page through textContent and setAttribute only, never as markup.
var UMM = {};

(function () {
  // el("td", {class: "num", title: text, on: {click: f}}, child, "text", null)
  UMM.el = function (tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    UMM.add(node, children);
    return node;
  };

  UMM.add = function (node, children) {
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false)
        node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return node;
  };

  const NS = "http://www.w3.org/2000/svg";
  UMM.svg = function (tag, attributes, ...children) {
    const node = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, String(value));
    return UMM.add(node, children);
  };

  UMM.number = function (value, digits) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
    return value.toFixed(digits === undefined ? 2 : digits);
  };

  UMM.badge = function (run) {
    return UMM.el("span", {class: "badge run" + (run % 6), title: UMM.store.runs[run].name}, UMM.store.runs[run].letter);
  };
})();
