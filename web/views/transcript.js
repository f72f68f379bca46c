// @ts-check
// #transcript: prompts and what followed them, as text nodes only. Text that comes in is written once a frame.

import { element } from "./element.js";

const NODE_CHARACTERS = 2048;
const FOLLOW_PIXELS = 48;

/** @type {Readonly<Record<string, string>>} */
const NOTES = Object.freeze({
  stop: "The model ended the text.",
  length: "Max tokens reached.",
  context: "The context is full.",
  cancelled: "Stopped.",
});

export class Transcript {
  #root = element("transcript");
  /** @type {HTMLElement | null} the text that grows */
  #text = null;
  #pending = "";
  #frame = 0;

  /**
   * @param {string} prompt
   * @param {boolean} [is_turn] of a conversation, whose sides are named
   */
  begin(prompt, is_turn = false) {
    this.flush();
    const entry = document.createElement("p");
    const [you, model] = is_turn ? [[span("who", "You")], [span("who", "Model")]] : [[], []];
    this.#text = span("text", "");
    entry.classList.toggle("turn", is_turn);
    entry.append(...you, span("prompt", prompt), ...model, this.#text);
    this.#write(() => this.#root.append(entry));
  }

  /** @param {string} text */
  append(text) {
    this.#pending += text;
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.flush());
  }

  /** @param {string} reason why the generation ended */
  end(reason) {
    this.flush();
    const entry = this.#text?.parentElement;
    const isUsual = reason === "stop" && entry?.classList.contains("turn"); // every answer ends so
    if (entry && !isUsual) this.#write(() => void (entry.dataset["note"] = NOTES[reason] ?? reason));
  }

  clear() {
    this.flush();
    this.#text = null;
    this.#root.replaceChildren();
  }

  /** Everything that came is in the document when this returns. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const text = this.#pending;
    this.#pending = "";
    if (text !== "") this.#write(() => extend(this.#growing(), text));
  }

  /** After Clear, a step goes on in an entry without a prompt. */
  #growing() {
    if (this.#text === null) {
      const entry = document.createElement("p");
      this.#text = span("text", "");
      entry.append(this.#text);
      this.#root.append(entry);
    }
    return this.#text;
  }

  /**
   * Keeps the end in view, unless the reader has scrolled away from it.
   * @param {() => void} change
   */
  #write(change) {
    const root = this.#root;
    const follows = root.scrollHeight - root.scrollTop - root.clientHeight < FOLLOW_PIXELS;
    change();
    if (follows) root.scrollTop = root.scrollHeight;
  }
}

/**
 * @param {string} className
 * @param {string} text
 */
function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

/**
 * Appends to the last text node, or to a new one when that has grown long: a long one is costly to change.
 * @param {HTMLElement} target
 * @param {string} text
 */
function extend(target, text) {
  const last = target.lastChild;
  if (last instanceof Text && last.length < NODE_CHARACTERS) last.appendData(text);
  else target.append(document.createTextNode(text));
}
