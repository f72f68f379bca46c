// @ts-check
// A model in somebody else's page: the store, the actions and the worker of our own, without a document. Nothing starts
// before `load`: what these modules need beyond it is imported there.

import { whenAtRest } from "./at-rest.js";
import { FetchLedger } from "./fetch-ledger.js";
import { conversation, generation, plain, spoken } from "./generation.js";
import { PageError } from "./page-error.js";
import { Store } from "./store.js";
import { threadsFor } from "./threads.js";

/**
 * @typedef {import("./tinypylm.js").LoadOptions} LoadOptions
 * @typedef {import("./tinypylm.js").OpenOptions} OpenOptions
 * @typedef {import("./tinypylm.js").GenerateOptions} GenerateOptions
 * @typedef {import("./tinypylm.js").Message} Message
 * @typedef {import("./actions.js").Actions} Actions
 */

const HERE = new URL(".", import.meta.url).href;
const SILENT = Object.freeze({
  begin: () => undefined, append: () => undefined, end: () => undefined, flush: () => undefined, clear: () => undefined,
});

export class TinyPyLM {
  #store;
  #actions;
  #ledger;
  #closed = false;

  /**
   * @param {Store} store
   * @param {Actions} actions
   * @param {FetchLedger} ledger
   */
  constructor(store, actions, ledger) {
    this.#store = store;
    this.#actions = actions;
    this.#ledger = ledger;
  }

  /**
   * Starts Python in a worker of its own and loads a model into it.
   * @param {LoadOptions} options
   */
  static async load({ base = HERE, threads, kvCache = "f32", signal, onProgress, ...source }) {
    const [open, address] = [opener(source, LOAD_OPTIONS), addressOf("base", base)];
    const wanted = threads === undefined ? null : String(threads);
    const { refusal } = threadsFor(wanted);
    if (refusal !== null) throw refusal;
    signal?.throwIfAborted();
    const [store, ledger] = [new Store(), new FetchLedger()];
    const { Actions } = await ofThisOrigin(() => import("./actions.js"));
    const actions = new Actions(store, ledger, SILENT, address, { threads: wanted, kv_cache: kvCache });
    const made = new TinyPyLM(store, actions, ledger);
    try {
      await made.#watched(() => inOrder(actions.boot(), open(actions)), { signal, onProgress });
    } catch (error) {
      made.close();
      throw error;
    }
    whenAtRest(store, () => void actions.keep().catch(() => undefined)); // kept files are an acceleration, no state
    return made;
  }

  /** The name of the loaded model: its id in the registry, or what its file says. @returns {string | null} */
  get model() {
    return /** @type {string | null} */ (this.#store.snapshot.figures["model_id"] ?? null);
  }

  /** Whether the loaded model was made for `chat`. */
  get canChat() {
    return this.#store.snapshot.figures["can_chat"] === true;
  }

  /** Every fetch so far: address, declared and accepted bytes, digest, outcome. */
  get fetches() {
    return this.#ledger.entries;
  }

  /**
   * Another model in the place of this one. After a refusal or an abort there is none.
   * @param {OpenOptions} options
   * @returns {Promise<void>}
   */
  async open({ signal, onProgress, ...source }) {
    const open = opener(source, OPEN_OPTIONS);
    this.#requireOpen();
    signal?.throwIfAborted();
    // A little later: where `onProgress` aborts, the load has not taken its own signal yet.
    const cancel = () => queueMicrotask(() => this.#actions.stop().catch(() => undefined));
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      await this.#watched(() => open(this.#actions), { onProgress });
    } finally {
      signal?.removeEventListener("abort", cancel);
      signal?.throwIfAborted();
    }
  }

  /**
   * Continues a text. Starts at once.
   * @param {string | Uint8Array<ArrayBuffer>} prompt
   * @param {GenerateOptions} [options]
   */
  generate(prompt, options = {}) {
    this.#requireOpen();
    return generation(this.#actions, prompt, { ...options });
  }

  /**
   * Answers a conversation, by the chat prefixes in the model's metadata. Starts at once.
   * @param {Message | readonly Message[]} messages
   * @param {GenerateOptions} [options]
   */
  chat(messages, options = {}) {
    this.#requireOpen();
    return conversation(this.#actions, messages, { ...options });
  }

  /** One token more after what stands in the context. @returns {Promise<import("./client.js").Token>} */
  async step() {
    this.#requireOpen();
    return this.#actions.step();
  }

  /** Ends a generation, which then says `cancelled`. */
  async stop() {
    this.#requireOpen();
    return this.#actions.stop();
  }

  /**
   * Runs the generation of a receipt again, and compares.
   * @param {string | ArrayBuffer | Uint8Array} receipt its text or bytes
   * @returns {Promise<import("./tinypylm.js").Verdict>}
   */
  async replay(receipt) {
    this.#requireOpen();
    return this.#actions.replay(copied(typeof receipt === "string" ? new TextEncoder().encode(receipt) : receipt));
  }

  /**
   * The tokens that a generation would read.
   * @param {string | Message | readonly Message[]} text
   * @param {{bos?: boolean}} [options]
   * @returns {Promise<import("./tinypylm.js").Piece[]>}
   */
  async tokenize(text, { bos = true } = {}) {
    this.#requireOpen();
    const said = typeof text === "string" ? { prompt: text } : { messages: spoken([text].flat()) };
    const { tokens } = await this.#actions.request("tokenize", { ...said, bos });
    return tokens;
  }

  /**
   * How many of the context's tokens a prompt takes.
   * @param {string | Message | readonly Message[]} text
   * @param {{bos?: boolean}} [options]
   */
  async countTokens(text, options = {}) {
    return (await this.tokenize(text, options)).length;
  }

  /**
   * @param {readonly number[]} ids
   * @returns {Promise<string>}
   */
  async detokenize(ids) {
    this.#requireOpen();
    const { text } = await this.#actions.request("detokenize", { ids: plain(ids) });
    return text;
  }

  /**
   * What an adapter package for this model holds; nothing changes.
   * @param {ArrayBuffer | Uint8Array} bytes
   * @param {{scale?: number}} [options]
   * @returns {Promise<import("./tinypylm.js").AdapterPackage>}
   */
  async validateAdapter(bytes, options = {}) {
    this.#requireOpen();
    return this.#actions.validateAdapter(copied(bytes), plain(options));
  }

  /**
   * Changes the model's weights in place by a package, times `scale`; the context is gone.
   * @param {ArrayBuffer | Uint8Array} bytes
   * @param {{scale?: number}} [options]
   * @returns {Promise<void>}
   */
  async applyAdapter(bytes, options = {}) {
    this.#requireOpen();
    await this.#actions.applyAdapter(copied(bytes), plain(options));
  }

  /** The weights are the file's again. @returns {Promise<void>} */
  async detachAdapters() {
    this.#requireOpen();
    await this.#actions.detachAdapters();
  }

  /** Forgets the context; the model stays. @returns {Promise<void>} */
  async reset() {
    this.#requireOpen();
    await this.#actions.reset();
  }

  /** Unloads the model and gives its memory back; `open` loads another. @returns {Promise<void>} */
  async free() {
    this.#requireOpen();
    await this.#actions.free();
  }

  /** All figures, by snake_case name. */
  async diagnostics() {
    this.#requireOpen();
    return this.#actions.figures();
  }

  /** Ends the worker and everything under way. More than once is no error. */
  close() {
    this.#closed = true;
    this.#actions.close(closed());
  }

  /**
   * @param {() => Promise<unknown>} begin
   * @param {{signal?: AbortSignal | undefined, onProgress?: LoadOptions["onProgress"] | undefined}} watcher
   */
  async #watched(begin, { signal, onProgress }) {
    const end = this.#store.subscribe(({ progress }) => void (progress === null || told(onProgress, progress)));
    try {
      await unlessAborted(begin(), signal);
    } finally {
      end();
    }
  }

  #requireOpen() {
    if (this.#closed) throw closed();
  }
}

/**
 * Calls a listener of somebody else's as events do: what it throws is reported and stops nothing of ours.
 * @param {LoadOptions["onProgress"]} listener
 * @param {import("./tinypylm.js").Progress} progress
 */
function told(listener, progress) {
  try {
    listener?.(progress);
  } catch (error) {
    reportError(error);
  }
}

const OPEN_OPTIONS = Object.freeze(["model", "url", "sha256", "bytes", "signal", "onProgress"]);
const LOAD_OPTIONS = Object.freeze([...OPEN_OPTIONS, "base", "threads", "kvCache"]);

/** @type {Readonly<Record<string, (source: any) => (actions: Actions) => Promise<unknown>>>} by the name of its option */
const SOURCES = Object.freeze({
  model: ({ model }) => (actions) => actions.load(model),
  url: ({ url, sha256 = null }) => {
    const address = addressOf("url", url);
    return (actions) => actions.loadFrom(address, sha256);
  },
  bytes: ({ bytes }) => {
    const file = new File([bytes], bytes?.name ?? "bytes");
    return (actions) => actions.loadFile(file);
  },
});

/**
 * What loads the one model that is named.
 * @param {Record<string, unknown>} source
 * @param {readonly string[]} known options of the method
 * @throws {PageError} UnknownOption, SourceUnclear, OptionOutOfRange
 */
function opener(source, known) {
  const names = Object.keys(source).filter((name) => source[name] !== undefined);
  const unknown = names.find((name) => name !== "sha256" && SOURCES[name] === undefined);
  if (unknown !== undefined) throw unknownOption(unknown, known);
  const [name, second] = names.filter((one) => one !== "sha256");
  if (name === undefined || second !== undefined || (names.includes("sha256") && name !== "url")) throw unclear(names);
  return /** @type {(typeof SOURCES)[string]} */ (SOURCES[name])(source);
}

/**
 * What stops the start of Python stops the model, too: it is what the caller has to hear of.
 * @param {Promise<unknown>} boot
 * @param {Promise<unknown>} load
 */
async function inOrder(boot, load) {
  await Promise.allSettled([boot, load]);
  await boot;
  await load;
}

/**
 * @param {Promise<unknown>} work
 * @param {AbortSignal | undefined} signal
 */
function unlessAborted(work, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort(); // while the modules came, or by what `work` has begun with
    work.then(resolve, reject).finally(() => signal?.removeEventListener("abort", abort));
  });
}

/**
 * Workers come from the page's own origin only.
 * @template T
 * @param {() => Promise<T>} load
 * @throws {PageError} ForeignOrigin
 */
async function ofThisOrigin(load) {
  const { origin } = new URL(import.meta.url);
  if (origin === location.origin) return load();
  const message = `tinypylm.js comes from ${origin}, this page from ${location.origin}: a browser starts workers of a page's ` +
    "own origin only. Put TinyPyLM's files on this origin, under any path.";
  throw new PageError("ForeignOrigin", message, { found: origin, expected: location.origin });
}

/** @param {ArrayBuffer | Uint8Array} bytes */
function copied(bytes) {
  return new Uint8Array(bytes).slice().buffer;
}

/**
 * @param {string} option
 * @param {unknown} found
 * @throws {PageError} OptionOutOfRange
 */
function addressOf(option, found) {
  try {
    return new URL(String(found), location.href).href;
  } catch {
    const message = `${option} is ${found}; it has to be an address, or a path of this page's origin.`;
    throw new PageError("OptionOutOfRange", message, { option, found: String(found) });
  }
}

/**
 * @param {string} name
 * @param {readonly string[]} known
 */
function unknownOption(name, known) {
  const message = `There is no option ${name} here; known are ${known.join(", ")}.`;
  return new PageError("UnknownOption", message, { option: name });
}

/** @param {string[]} names */
function unclear(names) {
  const message = `Found ${names.join(" and ") || "none"} for the model; expected one of model (an id of the registry), ` +
    "url (with sha256, if you like) and bytes.";
  return new PageError("SourceUnclear", message, { found: names.join(" ") });
}

function closed() {
  return new PageError("Closed", "This model was closed. Load another one.");
}
