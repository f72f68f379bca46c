// @ts-check
// What the page knows, in one immutable snapshot, and the only table that says which event is allowed when.
// Controls are enabled from this table and requests are refused by it: there is no second list of either.

import { PageError } from "./page-error.js";

/**
 * @typedef {"booting" | "ready" | "loading" | "model-ready" | "context-ready" | "generating" | "model-rejected" |
 *   "assembly-rejected" | "manifest-drift" | "runtime-failed"} State
 * @typedef {"booted" | "drifted" | "load" | "loaded" | "rejected" | "unproven" | "cancelled" | "generate" | "step" |
 *   "kept" | "emptied" | "stop" | "reset" | "adapt" | "clear" | "free" | "died" | "restart" | "reload"} Event
 * @typedef {{phase: string, done_bytes: number, total_bytes: number | null}} Progress
 * @typedef {{code: string, message: string}} Notice
 * @typedef {Record<string, string | number | boolean | null>} Figures
 * @typedef {{
 *   outcome: "same" | "parted" | "stopped", tokens: number, compared_tokens: number, same_runtime: boolean,
 *   message: string, token?: number, what?: "id" | "logits" | "end", expected?: string, found?: string,
 * }} Verdict
 * @typedef {import("./registry.js").ModelEntry} ModelEntry
 * @typedef {import("./fetch-ledger.js").LedgerEntry} LedgerEntry
 * @typedef {{
 *   state: State, mode: "continue" | "chat", models: readonly ModelEntry[], modelId: string | null, modelLabel: string | null,
 *   progress: Progress | null, notice: Notice | null, lastErrorCode: string | null, figures: Figures,
 *   ledger: readonly LedgerEntry[], keptFiles: readonly import("./kept.js").Kept[],
 *   receipt: string | null, verdict: Verdict | null,
 * }} Snapshot
 */

/**
 * A model that is chosen in `booting` is fetched meanwhile, and loaded by a second `load` after `booted`.
 * `kept` and `emptied` end a generation: the runtime says whether a context is left. `unproven` is a model whose
 * evidence or adapters were refused; `reload` leaves the page.
 * @type {Readonly<Record<State, Partial<Record<Event, State>>>>}
 */
const TRANSITIONS = Object.freeze({
  "booting": { load: "booting", booted: "ready", drifted: "manifest-drift", died: "runtime-failed" },
  "ready": { load: "loading", clear: "ready", died: "runtime-failed" },
  "loading": {
    loaded: "model-ready", rejected: "model-rejected", unproven: "assembly-rejected", cancelled: "ready",
    stop: "loading", died: "runtime-failed",
  },
  "model-ready": {
    load: "loading", generate: "generating", free: "ready", adapt: "model-ready", clear: "model-ready",
    died: "runtime-failed",
  },
  "context-ready": {
    load: "loading", generate: "generating", step: "generating", reset: "model-ready", free: "ready",
    adapt: "model-ready", clear: "context-ready", died: "runtime-failed",
  },
  "generating": { kept: "context-ready", emptied: "model-ready", stop: "generating", died: "runtime-failed" },
  "model-rejected": { load: "loading", clear: "model-rejected", died: "runtime-failed" },
  "assembly-rejected": { load: "loading", clear: "assembly-rejected", died: "runtime-failed" },
  "manifest-drift": { reload: "manifest-drift" },
  "runtime-failed": { restart: "booting", drifted: "manifest-drift", clear: "runtime-failed" },
});

/**
 * Why a state refuses what its row above does not list.
 * @type {Readonly<Record<State, Notice>>}
 */
const REFUSALS = Object.freeze({
  "booting": { code: "NotReady", message: "The runtime is still starting. Wait until the status says ready." },
  "ready": { code: "ModelNotLoaded", message: "No model is loaded. Choose a model first." },
  "loading": { code: "Busy", message: "A model is being loaded. Wait for it, or stop it." },
  "model-ready": { code: "NoContext", message: "There is no context yet. Generate to make one." },
  "context-ready": { code: "Busy", message: "The page cannot do that now." },
  "generating": { code: "Busy", message: "A generation is running. Wait for it, or stop it." },
  "model-rejected": { code: "ModelNotLoaded", message: "The last model was refused. Choose another model." },
  "assembly-rejected": { code: "ModelNotLoaded", message: "The last model's evidence was refused. Choose another." },
  "manifest-drift": { code: "ManifestDrift", message: "The page's own files are not those of its manifest. Reload it." },
  "runtime-failed": { code: "RuntimeFailed", message: "The runtime has stopped. Start it again; the text stays." },
});

/** @type {Snapshot} */
const INITIAL = Object.freeze({
  state: "booting", mode: "continue", models: [], modelId: null, modelLabel: null, progress: null, notice: null,
  lastErrorCode: null, figures: {}, ledger: [], keptFiles: [], receipt: null, verdict: null,
});

/**
 * Whether a prompt is a message to be answered: chat was chosen, and the loaded model was made for it.
 * @param {Snapshot} snapshot
 */
export function isChatting({ mode, figures }) {
  return mode === "chat" && figures["can_chat"] === true;
}

export class Store {
  #snapshot = INITIAL;
  /** @type {Set<(snapshot: Snapshot) => void>} */
  #subscribers = new Set();

  get snapshot() {
    return this.#snapshot;
  }

  /** @param {Event} event */
  allows(event) {
    return TRANSITIONS[this.#snapshot.state][event] !== undefined;
  }

  /**
   * Moves to the state that the table names, and applies `patch` in the same step.
   * @param {Event} event
   * @param {Partial<Snapshot>} [patch]
   * @throws {PageError} if the present state does not allow it
   */
  dispatch(event, patch = {}) {
    this.update({ ...patch, state: this.require(event) });
  }

  /**
   * The state that `event` would lead to.
   * @param {Event} event
   * @throws {PageError} if the present state does not allow it
   */
  require(event) {
    const { state } = this.#snapshot;
    const next = TRANSITIONS[state][event];
    if (next === undefined) throw refusal(state, event);
    return next;
  }

  /** @param {Partial<Snapshot>} patch */
  update(patch) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...patch });
    for (const subscriber of this.#subscribers) subscriber(this.#snapshot);
  }

  /**
   * @param {(snapshot: Snapshot) => void} subscriber called now and after every change
   * @returns {() => void} ends that
   */
  subscribe(subscriber) {
    this.#subscribers.add(subscriber);
    subscriber(this.#snapshot);
    return () => void this.#subscribers.delete(subscriber);
  }
}

/**
 * @param {State} state
 * @param {Event} event
 */
function refusal(state, event) {
  return PageError.from({ ...REFUSALS[state], detail: { state, event } });
}
