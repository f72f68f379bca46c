// @ts-check
// The prompt, the buttons and the sampling options. A button is enabled when the store allows its event.

import { plain } from "../generation.js";
import { element } from "./element.js";

/**
 * @typedef {import("../store.js").Store} Store
 * @typedef {import("../actions.js").Actions} Actions
 */

const NUMBER_OPTIONS = Object.freeze(["temperature", "top-k", "top-p", "min-p", "repetition-penalty", "max-tokens"]);

/** @type {ReadonlyArray<import("../store.js").Event>} each is a button's id and an event of the store */
const BUTTONS = Object.freeze(["generate", "step", "stop", "clear", "reset", "free"]);

/**
 * @param {Store} store
 * @param {Actions} actions
 * @param {(work: Promise<unknown>) => void} settle
 */
export function mountControls(store, actions, settle) {
  const prompt = element("prompt", HTMLTextAreaElement);
  /** @type {Record<string, () => unknown>} */
  const press = {
    generate: () => settle(actions.generate(prompt.value, readOptions())),
    step: () => settle(actions.step()),
    stop: () => settle(actions.stop()),
    clear: () => actions.clear(),
    reset: () => settle(actions.reset()),
    free: () => settle(actions.free()),
  };
  for (const id of BUTTONS) element(id, HTMLButtonElement).addEventListener("click", () => press[id]?.());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && store.allows("stop")) press["stop"]?.();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target === prompt) press["generate"]?.();
  });
  store.subscribe(() => {
    for (const id of BUTTONS) element(id, HTMLButtonElement).disabled = !store.allows(id);
  });
}

/** The options as they stand. What is not a number goes on as text: the runtime refuses it by name. */
export function readOptions() {
  const numbers = NUMBER_OPTIONS.map((id) => [id.replace("-", "_"), numberOrText(element(id, HTMLInputElement))]);
  const seed = element("seed", HTMLInputElement).value.trim();
  const stop_strings = element("stop-strings", HTMLTextAreaElement).value.split("\n").filter((line) => line !== "");
  const receipt = element("record-receipt", HTMLInputElement).checked;
  return plain({ ...Object.fromEntries(numbers), seed, stop_strings, ...(receipt ? { receipt } : {}) });
}

/** @param {HTMLInputElement} input */
function numberOrText({ value }) {
  return value.trim() === "" ? value : Number(value);
}
