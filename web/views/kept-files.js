// @ts-check
// #kept: what the page keeps on this device, each with its size and a button that deletes it.

import { megabytes } from "../megabytes.js";
import { element } from "./element.js";

/** @typedef {import("../kept.js").Kept} Kept */

/**
 * @param {import("../store.js").Store} store
 * @param {(name: string) => void} forget
 */
export function mountKeptFiles(store, forget) {
  const body = element("kept").querySelector("tbody");
  /** @type {readonly Kept[]} */
  let shown = [];
  store.subscribe(({ keptFiles }) => {
    if (keptFiles === shown) return;
    shown = keptFiles;
    body?.replaceChildren(...keptFiles.map((kept) => row(kept, forget)));
  });
}

/**
 * @param {Kept} kept
 * @param {(name: string) => void} forget
 */
function row({ name, label, bytes }, forget) {
  const made = document.createElement("tr");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Delete";
  button.setAttribute("aria-label", `Delete ${label}`);
  button.addEventListener("click", () => forget(name));
  [label, megabytes(bytes), button].forEach((content) => made.insertCell().append(content));
  made.dataset["name"] = name;
  return made;
}
