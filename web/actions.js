// @ts-check
// What a person or a program can ask of the page. Each action asks the store whether it is allowed, does its work
// through the worker, and leaves state, figures and notice as they have to be - whether it worked or not.

import { lastSaid } from "./client.js";
import { bytesOf, loadFetched, loadLocal } from "./model-source.js";
import { ModuleAssembly } from "./module-assembly.js";
import { PageError } from "./page-error.js";
import { PageRuntime } from "./page-runtime.js";
import { AssemblyError } from "./phases.js";

const FIGURES_EVERY_MS = 250;
const OPENING = Object.freeze({ phase: "Opening", done_bytes: 0, total_bytes: null });

/**
 * @typedef {import("./client.js").Token} Token
 * @typedef {import("./client.js").Prompt} Prompt
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {(runtime: import("./model-runtime.js").ModelRuntime) => Promise<Figures>} Load
 * @typedef {import("./store.js").Verdict} Verdict
 * @typedef {{finish_reason: string, text: string, figures: Figures, receipt?: string, replay?: Verdict}} Summary
 * @typedef {{begin: (prompt: string, is_turn: boolean) => void, append: (text: string) => void, end: (reason: string) => void,
 *   flush: () => void, clear: () => void}} Transcript
 */

export class Actions {
  #store;
  #ledger;
  #transcript;
  #base;
  #runtime;
  /** @type {AbortController | null} */
  #loading = null;
  /** @type {Promise<unknown>} ends when all does that is under way */
  #running = Promise.resolve();
  /** @type {Promise<void> | null} a Reset, Free or adapter under way: what is asked for meanwhile comes after it */
  #commanding = null;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./fetch-ledger.js").FetchLedger} ledger
   * @param {Transcript} transcript
   * @param {string} base address that everything is relative to
   * @param {import("./threads.js").Settings} [settings]
   */
  constructor(store, ledger, transcript, base, settings) {
    this.#store = store;
    this.#ledger = ledger;
    this.#transcript = transcript;
    this.#base = base;
    const onLost = (/** @type {PageError | undefined} */ error) => this.#lost(error);
    this.#runtime = new PageRuntime(store, ledger, base, { onBooted: () => this.#booted(), onLost }, settings);
  }

  /** Starts the worker and Python in it; resolves when a model can be loaded. */
  boot() {
    return this.#runtime.boot();
  }

  #booted() {
    if (this.#loading !== null) this.#store.dispatch("load", { progress: OPENING });
    this.#runtime.listKept();
  }

  /** @param {PageError} [error] */
  #lost(error) {
    this.#loading?.abort(error);
    this.#transcript.flush();
  }

  async restart() {
    this.#store.dispatch("restart", { notice: null });
    await this.boot();
  }

  /**
   * Loads a model of the registry. While Python starts, its bytes come in meanwhile.
   * @param {string} id
   */
  load(id) {
    return this.#attempt(async () => {
      const registry = this.#store.snapshot.state === "booting" ? await this.#runtime.registry : this.#runtime.known;
      this.#store.require("load");
      const entry = this.#runtime.entryOf(registry, id);
      await this.#open(id, entry.label, (runtime) => {
        const assembly = new ModuleAssembly(entry, this.#ledger, new URL("models/", this.#base).href, runtime);
        this.#runtime.assembly = assembly;
        return assembly.run(registry);
      });
    });
  }

  /**
   * Loads a model from a file that the reader has chosen.
   * @param {File} file
   */
  loadFile(file) {
    const label = `${file.name} (a local file, outside the registry)`;
    return this.#attempt(() => this.#open(null, label, (runtime) => loadLocal(file, runtime)));
  }

  /**
   * Loads a model from any address.
   * @param {string} url
   * @param {string | null} sha256 compared where it is given
   */
  loadFrom(url, sha256) {
    const label = `${url} (outside the registry)`;
    return this.#attempt(() => this.#open(null, label, (runtime) => loadFetched(url, sha256, this.#ledger, runtime)));
  }

  /**
   * @param {Prompt} prompt
   * @param {unknown} options by the runtime's names; what is left out has the runtime's default
   * @param {(token: Token) => void} [onToken]
   * @returns {Promise<Summary>}
   */
  generate(prompt, options, onToken = () => undefined) {
    return this.#generation((listeners) => this.#runtime.client.generate(prompt, options, listeners), prompt, onToken);
  }

  /**
   * Runs the generation of a receipt again, and compares.
   * @param {ArrayBuffer} receipt
   * @returns {Promise<Verdict>}
   */
  async replay(receipt) {
    this.#store.update({ verdict: null });
    const run = (/** @type {import("./client.js").Listeners} */ listeners) => this.#runtime.client.replay(receipt, listeners);
    const summary = await this.#generation(run, "", () => undefined);
    const verdict = /** @type {Verdict} */ (summary.replay);
    this.#store.update({ verdict });
    return verdict;
  }

  /** The beginning of a file that the reader has chosen. @param {File} file @param {number} limit_bytes */
  read(file, limit_bytes) {
    return this.#attempt(() => bytesOf(file, file.slice(0, limit_bytes)));
  }

  /** The receipt of the last generation that was recorded. */
  get receipt() {
    const { receipt } = this.#store.snapshot;
    if (receipt === null) throw new PageError("NoReceipt", "No generation was recorded. Generate with the option receipt.");
    return receipt;
  }

  /**
   * @param {(listeners: import("./client.js").Listeners) => Promise<Summary>} run
   * @param {Prompt} prompt
   * @param {(token: Token) => void} onToken
   */
  #generation(run, prompt, onToken) {
    return this.#attempt(async () => {
      this.#store.dispatch("generate");
      // What fails a poll fails the generation too, which says so.
      const poll = setInterval(() => this.#runtime.refreshFigures().catch(() => undefined), FIGURES_EVERY_MS);
      try {
        return await this.#stream(run, prompt, onToken);
      } finally {
        clearInterval(poll);
        await this.#settle();
      }
    });
  }

  /** One more token after what stands in the context. @returns {Promise<Token>} */
  step() {
    return this.#attempt(async () => {
      this.#store.dispatch("step");
      try {
        const token = await this.#runtime.client.request("step");
        this.#transcript.append(token.text);
        return token;
      } finally {
        await this.#settle();
      }
    });
  }

  /** Ends a generation, or cancels a load; resolves when the page is usable again. */
  async stop() {
    if (this.#commanding !== null) await this.#commanding;
    const { state } = this.#store.snapshot;
    if (!this.#store.allows("stop")) return { stopped: false };
    if (state === "loading") this.#loading?.abort();
    const answer = state === "generating" ? await this.#runtime.client.stop() : { stopped: true };
    await this.#running;
    return answer;
  }

  /**
   * What a package for the loaded model holds; nothing changes.
   * @param {ArrayBuffer} data
   * @param {Record<string, unknown>} params {scale}
   */
  validateAdapter(data, params) {
    return this.#attempt(async () => {
      this.#store.require("adapt");
      return this.#runtime.client.request("validate_adapter", params, data);
    });
  }

  /**
   * Changes the weights of the loaded model by a package.
   * @param {ArrayBuffer} data
   * @param {Record<string, unknown>} params {scale}
   */
  applyAdapter(data, params) {
    return this.#alone(() => this.#adapt("apply_adapter", params, data));
  }

  /** The weights are the file's again. */
  detachAdapters() {
    return this.#alone(() => this.#adapt("detach_adapters"));
  }

  reset() {
    return this.#command("reset");
  }

  free() {
    return this.#command("free", { modelId: null, modelLabel: null });
  }

  clear() {
    this.#store.dispatch("clear", { notice: null });
    this.#transcript.clear();
  }

  /**
   * A question to the runtime that changes nothing, in any state.
   * @param {string} method
   * @param {Record<string, unknown>} params
   * @param {ArrayBuffer} [data]
   */
  async request(method, params, data) {
    return this.#runtime.client.request(method, params, data);
  }

  /**
   * Ends the worker for good.
   * @param {PageError} error what is under way is answered with
   */
  close(error) {
    this.#loading?.abort(error);
    this.#runtime.dismiss(error);
  }

  /** Has the worker put on this device what makes the next visit quicker. */
  keep() {
    return this.#runtime.keep();
  }

  /**
   * Deletes a file from this device; a loaded model stays loaded.
   * @param {string} name
   */
  forget(name) {
    return this.#runtime.forget(name);
  }

  /** The figures of this moment; without a worker, the last known. */
  figures() {
    return this.#runtime.figures();
  }

  /**
   * Runs one request, and shows why it failed if it does.
   * @template T
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  async #attempt(run) {
    if (!this.#store.allows("reload")) this.#store.update({ notice: null });
    const outcome = this.#commanding === null ? run() : this.#commanding.then(run);
    this.#running = Promise.allSettled([this.#running, outcome]).then(() => undefined);
    try {
      return await outcome;
    } catch (error) {
      if (error instanceof PageError && error.code !== "Cancelled") this.#runtime.report(error);
      throw error;
    }
  }

  /**
   * @param {"reset" | "free"} event also the worker's method
   * @param {Partial<import("./store.js").Snapshot>} [patch]
   */
  #command(event, patch = {}) {
    return this.#alone(async () => {
      this.#store.require(event);
      const figures = await this.#runtime.client.request(event);
      if (event === "free") this.#runtime.assembly = null;
      this.#store.dispatch(event, { ...patch, ...this.#runtime.shown(figures, patch.modelId) });
    });
  }

  /**
   * An attempt that lasts a message or two: what is asked for meanwhile comes after it.
   * @template T
   * @param {() => Promise<T>} run
   */
  #alone(run) {
    const command = this.#attempt(run);
    const ended = command.then(() => undefined, () => undefined).then(() => {
      if (this.#commanding === ended) this.#commanding = null;
    });
    this.#commanding = ended;
    return command;
  }

  /**
   * The runtime says whether the context is left: a package that is refused at once leaves it.
   * @param {"apply_adapter" | "detach_adapters"} method
   * @param {Record<string, unknown>} [params]
   * @param {ArrayBuffer[] | ArrayBuffer} [data]
   */
  async #adapt(method, params = {}, data = []) {
    this.#store.require("adapt");
    try {
      await this.#runtime.client.request(method, params, data);
    } finally {
      const figures = await this.#runtime.client.request("diagnostics");
      if (figures["state"] === "model-ready") this.#store.dispatch("adapt", this.#runtime.shown(figures));
    }
  }

  /**
   * @param {string | null} modelId
   * @param {string} modelLabel
   * @param {Load} load
   */
  async #open(modelId, modelLabel, load) {
    const hadModel = this.#store.allows("free");
    const booting = this.#store.snapshot.state === "booting";
    this.#store.dispatch("load", { modelId, modelLabel, ...(booting ? {} : { progress: OPENING }) });
    this.#loading?.abort(); // of a model that was chosen before, while Python started
    const loading = new AbortController();
    this.#loading = loading;
    const runtime = this.#runtime.forModel(loading.signal);
    try {
      if (hadModel) await this.#runtime.client.request("free");
      const figures = await runtime.afterBoot(load(runtime));
      this.#runtime.own_figures["model_fetch_ms"] = runtime.fetch_ms;
      this.#store.dispatch("loaded", { progress: null, ...this.#runtime.shown(figures) });
    } catch (error) {
      throw await this.#notLoaded(error, loading);
    } finally {
      if (this.#loading === loading) this.#loading = null;
      this.#runtime.listKept();
    }
  }

  /**
   * Leaves `loading` by the way that fits the reason; returns the error that the caller is to see.
   * @param {unknown} error
   * @param {AbortController} loading
   */
  async #notLoaded(error, loading) {
    const cancelled = error instanceof DOMException && error.name === "AbortError";
    if (this.#loading === loading && this.#store.snapshot.state === "loading") {
      const figures = await this.#runtime.client.request("diagnostics");
      const patch = { modelId: null, modelLabel: null, progress: null, ...this.#runtime.shown(figures, null) };
      const event = error instanceof AssemblyError ? "unproven" : "rejected";
      this.#store.dispatch(cancelled ? "cancelled" : event, patch);
    }
    return cancelled ? new PageError("Cancelled", "Loading was cancelled.") : error;
  }

  /**
   * @param {(listeners: import("./client.js").Listeners) => Promise<Summary>} run
   * @param {Prompt} prompt
   * @param {(token: Token) => void} onToken
   */
  async #stream(run, prompt, onToken) {
    const summary = await run({
      accepted: (text = lastSaid(prompt)) => this.#transcript.begin(text, Array.isArray(prompt)),
      token: (token) => {
        this.#transcript.append(token.text);
        onToken(token);
      },
    });
    this.#transcript.append(summary.text);
    this.#transcript.end(summary.finish_reason);
    if (summary.receipt !== undefined) this.#store.update({ receipt: summary.receipt });
    return summary;
  }

  /** Leaves `generating` for the state that the session is in, with all text shown. */
  async #settle() {
    this.#transcript.flush();
    if (this.#store.snapshot.state !== "generating") return;
    const figures = await this.#runtime.client.request("diagnostics");
    this.#store.dispatch(figures["state"] === "context-ready" ? "kept" : "emptied", this.#runtime.shown(figures));
  }
}
