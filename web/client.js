// @ts-check
// Promises over the worker's protocol (see worker.js), and the one place that knows whether the worker lives.

import { PageError } from "./page-error.js";
import { canShareMemory, settingsHere, threadsFor } from "./threads.js";
import { startWorker } from "./worker-start.js";

/**
 * @typedef {{role: "system" | "user" | "assistant", content: string}} Message
 * @typedef {string | Uint8Array<ArrayBuffer> | readonly Message[]} Prompt text, or its UTF-8, or a conversation
 * @typedef {{id: number, text: string, bytes: number[], logprob: number}} Alternative
 * @typedef {{id: number, text: string, logprob: number, index: number, bytes?: number[], top?: Alternative[]}} Token the
 *   last two where `top_logprobs` is among the options
 * @typedef {{accepted?: (prompt?: string) => void, token?: (token: Token) => void}} Listeners
 * @typedef {{resolve: (result: any) => void, reject: (error: PageError) => void, listeners: Listeners}} Pending
 * @typedef {{onBoot: (progress: import("./store.js").Progress) => void, onDeath: (error: PageError) => void}} Watcher
 */

const WORKER_FIRST_MS = 100;

export class Client {
  #worker;
  #watcher;
  #settings;
  #threads;
  #lock = `tinypylm-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  #control = canShareMemory ? new SharedArrayBuffer(4) : null;
  #next_id = 1;
  /** @type {PageError | null} why nothing is answered any more */
  #dead = null;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  /** @type {() => void} */
  #onVerified = () => undefined;

  /** Resolves when the worker has found that Python starts from the files of the manifest. */
  verified = new Promise((/** @type {(value: void) => void} */ resolve) => void (this.#onVerified = resolve));

  /**
   * @param {Watcher} watcher
   * @param {import("./threads.js").Settings} settings
   */
  constructor(watcher, settings = settingsHere()) {
    const { worker, failed } = startWorker();
    this.#settings = settings;
    this.#threads = threadsFor(settings.threads);
    this.#watcher = watcher;
    this.#worker = worker;
    failed.then((reason) => this.#die(died(reason)));
    worker.addEventListener("message", (event) => this.#receive(event.data));
    worker.addEventListener("messageerror", () => this.#die(died("it sent a message that cannot be read")));
  }

  /** What of the settings was not followed. */
  get refusal() {
    return this.#threads.refusal;
  }

  /**
   * @param {URL} vendor
   * @param {import("./runtime-manifest.js").RuntimeManifest} manifest what is there
   * @param {boolean} [keeps] whether `keep` will be asked for; what waits for it takes memory
   */
  boot(vendor, manifest, keeps = false) {
    const { count: threads } = this.#threads;
    const [lock, control] = [this.#lock, this.#control];
    const { kv_cache } = this.#settings;
    return this.request("boot", { vendor: vendor.href, manifest, lock, control, threads, kv_cache, keeps });
  }

  /**
   * @param {string} method
   * @param {Record<string, unknown>} [params]
   * @param {ArrayBuffer | ArrayBuffer[]} [data] the bytes, in one piece or several; unusable here afterwards
   * @param {Listeners} [listeners] for events of this request
   * @returns {Promise<any>}
   */
  request(method, params = {}, data = [], listeners = {}) {
    const pieces = [data].flat();
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const id = this.#next_id++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, listeners });
      this.#worker.postMessage({ id, method, params, data: pieces }, pieces);
    });
  }

  /**
   * @param {Prompt} prompt
   * @param {unknown} options
   * @param {Listeners} listeners
   * @returns {Promise<import("./actions.js").Summary>}
   */
  generate(prompt, options, listeners) {
    this.#signalStop(0);
    if (prompt instanceof Uint8Array) return this.request("generate", { options }, prompt.slice().buffer, listeners);
    const said = typeof prompt === "string" ? { prompt } : { messages: prompt };
    return this.request("generate", { ...said, options }, [], listeners);
  }

  /**
   * @param {ArrayBuffer} receipt unusable here afterwards
   * @param {Listeners} listeners
   * @returns {Promise<import("./actions.js").Summary>}
   */
  replay(receipt, listeners) {
    this.#signalStop(0);
    return this.request("replay", {}, receipt, listeners);
  }

  /** @returns {Promise<{stopped: boolean}>} */
  stop() {
    this.#signalStop(1);
    return this.request("stop");
  }

  /** @param {0 | 1} value */
  #signalStop(value) {
    if (this.#control !== null) Atomics.store(new Int32Array(this.#control), 0, value);
  }

  /** @param {any} message */
  #receive(message) {
    if (message.event !== undefined) return (this.#events[message.event] ?? this.#misunderstood)(message);
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error === undefined) return pending?.resolve(message.result);
    if (message.error.code === "RuntimeFailed") this.#die(died(message.error.message));
    if (message.error.code === "HelperLost") this.#die(helperLost(message.error.message));
    return pending?.reject(PageError.from(message.error));
  }

  /** @type {Readonly<Record<string, (message: any) => void>>} by event */
  #events = Object.freeze({
    alive: ({ thread, lock }) => void navigator.locks.request(lock, () => this.#outlived(thread)),
    verified: () => this.#onVerified(),
    boot: ({ event, ...progress }) => this.#watcher.onBoot(progress),
    accepted: ({ request, prompt }) => this.#pending.get(request)?.listeners.accepted?.(prompt),
    tokens: ({ request, tokens }) => {
      for (const token of tokens) this.#pending.get(request)?.listeners.token?.(token);
    },
  });

  /** @throws {PageError} why nothing is answered any more */
  requireLife() {
    if (this.#dead !== null) throw this.#dead;
  }

  #misunderstood = (/** @type {any} */ { event }) => this.#die(died(`it reported "${event}", which is not in the protocol`));

  /**
   * Ends the worker, and says so to who watches it.
   * @param {PageError} error
   */
  fail(error) {
    this.#die(error);
  }

  /**
   * A thread has died. A worker takes its helpers along, whose locks may be free before its own.
   * @param {number} thread
   */
  #outlived(thread) {
    if (thread === 0) return this.#die(died("it was closed or killed"));
    const lost = helperLost(`Helper thread ${thread} has stopped: it was closed or killed, or its code failed.`);
    setTimeout(() => this.#die(lost), WORKER_FIRST_MS);
  }

  /** @param {PageError} error */
  #die(error) {
    if (this.#dead !== null) return;
    this.#dead = error;
    this.#watcher.onDeath(error);
    this.dismiss(error);
  }

  /**
   * Ends the worker on purpose, so that nobody is told of a death.
   * @param {PageError} error what its requests are answered with
   */
  dismiss(error) {
    this.#dead ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/**
 * What stands in a transcript for a prompt: of a conversation, what was said last.
 * @param {Prompt} prompt
 */
export function lastSaid(prompt) {
  if (typeof prompt === "string") return prompt;
  return prompt instanceof Uint8Array ? new TextDecoder().decode(prompt) : prompt.at(-1)?.content ?? "";
}

/** @param {string} reason */
function died(reason) {
  return new PageError("RuntimeFailed", `The runtime has stopped: ${reason}. Start it again; the text stays.`);
}

/** @param {string} message */
function helperLost(message) {
  return new PageError("HelperLost", `${message} Start it again; the text stays. With one thread (?threads=1) no helper is needed.`);
}
