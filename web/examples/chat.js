// @ts-check
// A chat with abort, token count, and the log-probability of every token under the pointer. `?model=ID` chooses a model
// of the registry. One that was not made for chat goes on with each message instead.

import { TinyPyLM, TinyPyLMError } from "../tinypylm.js";

/**
 * @typedef {import("../tinypylm.js").Message} Message
 * @typedef {import("../tinypylm.js").Token} Token
 */

const OPTIONS = Object.freeze({ temperature: 0.7, max_tokens: 10_000, top_logprobs: 3 });
const LEVELS = 5;

const status = find("status", HTMLElement);
const turns = find("turns", HTMLElement);
const composer = find("composer", HTMLFormElement);
const draft = find("draft", HTMLTextAreaElement);
const send = find("send", HTMLButtonElement);
const stop = find("stop", HTMLButtonElement);
const file = find("file", HTMLInputElement);
const count = find("count", HTMLOutputElement);

/** @type {Message[]} */
let said = [];
/** @type {AbortController | null} */
let answering = null;

const model = new URL(location.href).searchParams.get("model") ?? "storyteller-2m-q8_0";
const loading = TinyPyLM.load({ model, onProgress: ({ phase }) => void (status.textContent = `${phase}…`) });
shown(loading.then(ready));

file.addEventListener("change", () => shown(openFile()));
draft.addEventListener("input", () => shown(showCount()));
stop.addEventListener("click", () => answering?.abort());
composer.addEventListener("submit", (event) => {
  event.preventDefault();
  shown(answer(draft.value));
});
draft.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return; // 229: an input method's
  event.preventDefault();
  if (!send.disabled) composer.requestSubmit();
});

async function openFile() {
  const chosen = file.files?.[0];
  if (chosen === undefined) return;
  send.disabled = true;
  status.textContent = "Opening…";
  const lm = await loading;
  await lm.open({ bytes: chosen, onProgress: ({ phase }) => void (status.textContent = `${phase}…`) });
  ready(lm);
}

/** @param {TinyPyLM} lm */
function ready(lm) {
  status.textContent = lm.canChat ? `${lm.model} listens.` : `${lm.model} was not made for chat: it goes on with what you write.`;
  file.disabled = send.disabled = false;
}

/** @param {string} content */
async function answer(content) {
  if (content === "" || answering !== null) return;
  const lm = await loading;
  answering = new AbortController();
  setBusy(true);
  try {
    const { signal } = answering;
    const next = /** @type {Message[]} */ ([...said, { role: "user", content }]);
    await read(lm.canChat ? lm.chat(next, { ...OPTIONS, signal }) : lm.generate(content, { ...OPTIONS, signal }), content);
  } finally {
    answering = null;
    setBusy(false);
    await showCount();
  }
}

/**
 * Shows the answer as it comes. A refusal shows nothing; an answer that is aborted stays as far as it came.
 * @param {import("../tinypylm.js").Generation} generation
 * @param {string} content
 */
async function read(generation, content) {
  /** @type {HTMLElement | null} */
  let line = null;
  try {
    for await (const token of generation) {
      line ??= begin(content);
      line.append(shownToken(token));
    }
  } finally {
    if (line !== null) said = [...said, { role: "user", content }, { role: "assistant", content: line.textContent ?? "" }];
  }
}

/** @param {string} content */
function begin(content) {
  draft.value = "";
  turns.append(paragraph("user", content));
  const line = paragraph("assistant", "");
  turns.append(line);
  return line;
}

/**
 * Paler the less likely it was; under the pointer, how likely, and what else could have been.
 * @param {Token} token
 */
function shownToken({ text, logprob, top = [] }) {
  const made = document.createElement("span");
  made.textContent = text;
  made.className = `level-${Math.min(LEVELS - 1, Math.floor(Math.exp(logprob) * LEVELS))}`;
  const others = top.map((other) => `${JSON.stringify(other.text)} ${percent(other.logprob)}`).join(", ");
  made.title = `log-probability ${logprob.toFixed(3)} (${percent(logprob)}); likeliest: ${others}`;
  return made;
}

/** @param {number} logprob */
function percent(logprob) {
  return `${(100 * Math.exp(logprob)).toFixed(1)} %`;
}

async function showCount() {
  const lm = await loading;
  const next = /** @type {Message[]} */ ([...said, { role: "user", content: draft.value || " " }]);
  const tokens = await lm.countTokens(lm.canChat ? next : draft.value);
  count.value = `${tokens} of ${(await lm.diagnostics())["context_length"]} tokens`;
}

/** @param {boolean} busy */
function setBusy(busy) {
  send.disabled = file.disabled = busy;
  stop.disabled = !busy;
}

/**
 * @param {string} role
 * @param {string} text
 */
function paragraph(role, text) {
  const made = document.createElement("p");
  made.className = role;
  made.textContent = text;
  return made;
}

/**
 * Errors with a code are for the reader; an abort is what was asked for; anything else is a bug and rises.
 * @param {Promise<unknown>} work
 */
async function shown(work) {
  try {
    await work;
  } catch (error) {
    if (error instanceof TinyPyLMError) status.textContent = `${error.message} [${error.code}]`;
    else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  }
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 */
function find(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new TypeError(`#${id} is not a ${type.name} of this page`);
}
