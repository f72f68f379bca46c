// @ts-check
// The prompt, the buttons and the sampling options. A button is enabled when the store allows its event.

import { plain } from "../generation.js";
import { isChatting } from "../store.js";
import { element } from "./element.js";

/**
 * @typedef {import("../store.js").Store} Store
 * @typedef {import("../actions.js").Actions} Actions
 */

const NUMBER_OPTIONS = Object.freeze(["temperature", "top-k", "top-p", "min-p", "repetition-penalty", "max-tokens"]);

/** What `keyCode` is of a key that an input method takes (UI Events, section 7.3). */
const COMPOSING = 229;

/** @type {ReadonlyArray<import("../store.js").Event>} each is a button's id and an event of the store */
const BUTTONS = Object.freeze(["generate", "step", "stop", "clear", "reset", "free"]);

/**
 * @param {Store} store
 * @param {Actions} actions
 * @param {import("../conversation.js").Conversation} conversation
 * @param {(work: Promise<unknown>) => void} settle
 */
export function mountControls(store, actions, conversation, settle) {
  const prompt = element("prompt", HTMLTextAreaElement);
  const generate = () => (isChatting(store.snapshot) ? send(prompt, conversation) : actions.generate(prompt.value, readOptions()));
  /** @type {Record<string, () => unknown>} */
  const press = {
    generate: () => settle(generate()),
    step: () => settle(actions.step()),
    stop: () => settle(actions.stop()),
    clear: () => {
      actions.clear();
      conversation.clear();
    },
    reset: () => settle(actions.reset()),
    free: () => settle(actions.free()),
  };
  for (const id of BUTTONS) element(id, HTMLButtonElement).addEventListener("click", () => press[id]?.());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && store.allows("stop")) press["stop"]?.();
    if (event.target !== prompt || !asksFor(event, isChatting(store.snapshot))) return;
    event.preventDefault();
    press["generate"]?.();
  });
  store.subscribe((snapshot) => {
    for (const id of BUTTONS) {
      const ofTexts = id === "step" && isChatting(snapshot); // a step knows no end of a turn
      element(id, HTMLButtonElement).disabled = ofTexts || !store.allows(id);
    }
  });
}

/**
 * Whether a key in the prompt means Generate: Ctrl+Enter, and in a chat Enter alone, unless it ends a composition.
 * @param {KeyboardEvent} event
 * @param {boolean} chatting
 */
function asksFor({ key, keyCode, ctrlKey, metaKey, shiftKey, isComposing }, chatting) {
  const composes = isComposing || keyCode === COMPOSING; // Safari ends the composition first and says so only by the second
  return key === "Enter" && (ctrlKey || metaKey || (chatting && !shiftKey && !composes));
}

/**
 * The message leaves the prompt, and comes back if it is refused.
 * @param {HTMLTextAreaElement} prompt
 * @param {import("../conversation.js").Conversation} conversation
 */
async function send(prompt, conversation) {
  const message = prompt.value;
  prompt.value = "";
  try {
    await conversation.say(message, readOptions());
  } catch (error) {
    if (prompt.value === "") prompt.value = message;
    throw error;
  }
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
