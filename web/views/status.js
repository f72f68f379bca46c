// @ts-check
// #status and #progress: the state in words, the last error with what to try, bytes while something loads.

import { megabytes } from "../megabytes.js";
import { isChatting } from "../store.js";
import { element } from "./element.js";

/**
 * @typedef {import("../store.js").Snapshot} Snapshot
 * @typedef {import("../store.js").State} State
 */

const NO_MODEL = "The model";

/** @type {Readonly<Record<State, (label: string) => string>>} */
const SENTENCES = Object.freeze({
  "booting": (label) => (label === NO_MODEL ? "Starting Python" : `Starting Python, then loading ${label}`),
  "ready": () => "Ready. Choose a model.",
  "loading": (label) => `Loading ${label}`,
  "model-ready": (label) => `${label} is loaded. Write how the text begins.`,
  "context-ready": () => "Done. Step goes on from here, Generate starts anew.",
  "generating": (label) => `${label} is writing`,
  "model-rejected": () => "The model was refused.",
  "assembly-rejected": () => "The model's evidence was refused.",
  "manifest-drift": () => "The page's own files are not those of its manifest.",
  "runtime-failed": () => "The runtime has stopped.",
});

/** @type {Partial<typeof SENTENCES>} where a message is answered */
const CHAT_SENTENCES = Object.freeze({
  "model-ready": (label) => `${label} is loaded. Say something.`,
  "context-ready": () => "Your turn.",
});

/**
 * @param {import("../store.js").Store} store
 * @param {{restart: () => void, reload: () => void}} ways out of a state from which nothing else leads
 */
export function mountStatus(store, ways) {
  const status = element("status");
  const restart = element("restart", HTMLButtonElement);
  const reload = element("reload", HTMLButtonElement);
  restart.addEventListener("click", ways.restart);
  reload.addEventListener("click", ways.reload);
  store.subscribe((snapshot) => {
    showState(status, snapshot);
    restart.hidden = !store.allows("restart");
    reload.hidden = !store.allows("reload");
    showProgress(element("progress"), snapshot.progress);
  });
}

/**
 * @param {HTMLElement} status
 * @param {Snapshot} snapshot
 */
function showState(status, snapshot) {
  const { state, modelLabel, notice } = snapshot;
  const [sentence, detail] = /** @type {HTMLCollectionOf<HTMLElement>} */ (status.children);
  if (sentence === undefined || detail === undefined) return;
  const say = (isChatting(snapshot) ? CHAT_SENTENCES[state] : undefined) ?? SENTENCES[state];
  setText(sentence, say(modelLabel ?? NO_MODEL));
  setText(detail, notice?.message ?? "");
  detail.hidden = notice === null;
  status.dataset["code"] = detail.dataset["code"] = notice?.code ?? "";
  status.dataset["state"] = state;
}

/**
 * @param {HTMLElement} panel
 * @param {Snapshot["progress"]} progress
 */
function showProgress(panel, progress) {
  panel.hidden = progress === null;
  if (progress === null) return;
  const bar = /** @type {HTMLProgressElement} */ (panel.firstElementChild);
  const { phase, done_bytes, total_bytes } = progress;
  if (total_bytes === null || done_bytes >= total_bytes) bar.removeAttribute("value");
  else Object.assign(bar, { max: total_bytes, value: done_bytes });
  const amount = total_bytes === null ? "" : ` · ${megabytes(done_bytes)} of ${megabytes(total_bytes)}`;
  setText(/** @type {HTMLElement} */ (panel.lastElementChild), phase + amount);
}

/**
 * Only a change is written: this element is read aloud.
 * @param {HTMLElement} target
 * @param {string} text
 */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
