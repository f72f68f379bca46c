// @ts-check
// What a person or a program can ask of the page. Each action asks the store whether it is allowed, does its work
// through the worker, and leaves state, figures and notice as they have to be - whether it worked or not.

import { Client } from "./client.js";
import { loadRegistered, readLocal } from "./model-source.js";
import { PageError } from "./page-error.js";
import { REGISTRY_BUDGET_BYTES, parseRegistry } from "./registry.js";

const FIGURES_EVERY_MS = 250;

/**
 * @typedef {import("./client.js").Token} Token
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {import("./store.js").Progress} Progress
 * @typedef {import("./model-source.js").Source} Source
 * @typedef {{finish_reason: string, text: string, figures: Figures}} Summary
 * @typedef {{begin: (prompt: string) => void, append: (text: string) => void, end: (reason: string) => void,
 *   flush: () => void, clear: () => void}} Transcript
 */

export class Actions {
  #store;
  #ledger;
  #transcript;
  #base;
  /** @type {Client | null} */
  #worker = null;
  /** @type {AbortController | null} */
  #loading = null;
  /** @type {Promise<unknown>} the load or generation under way */
  #running = Promise.resolve();
  /** @type {Figures} what the page knows and the runtime does not */
  #own_figures = { cross_origin_isolated: globalThis.crossOriginIsolated };

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./fetch-ledger.js").FetchLedger} ledger
   * @param {Transcript} transcript
   * @param {string} base address that everything is relative to
   */
  constructor(store, ledger, transcript, base) {
    this.#store = store;
    this.#ledger = ledger;
    this.#transcript = transcript;
    this.#base = base;
  }

  /** Starts the worker and Python in it; resolves when a model can be loaded. */
  async boot() {
    const worker = new Client(new URL("worker.js", this.#base), {
      onBoot: (progress) => this.#store.update({ progress }),
      onDeath: (error) => this.#died(error),
    });
    this.#worker = worker;
    const [facts, models] = await Promise.all([worker.boot(new URL("vendor/", this.#base)), this.#readRegistry()]);
    this.#own_figures = { ...this.#own_figures, boot_ms: Math.round(facts.boot_ms), pyodide: facts.pyodide };
    const figures = await worker.request("diagnostics");
    this.#store.dispatch("booted", { models, progress: null, ...this.#shown(figures) });
  }

  async restart() {
    this.#store.dispatch("restart", { notice: null });
    await this.boot();
  }

  /**
   * Loads a model of the registry.
   * @param {string} id
   */
  load(id) {
    return this.#attempt(async () => {
      const entry = this.#store.snapshot.models.find((model) => model.id === id);
      if (entry === undefined) throw unknownModel(id, this.#store.snapshot.models);
      const url = new URL(`models/${entry.file}`, this.#base).href;
      await this.#open(id, entry.label, (source) => loadRegistered(entry, url, this.#ledger, source));
    });
  }

  /**
   * Loads a model from a file that the reader has chosen; there is no registered digest to hold it against.
   * @param {File} file
   */
  loadFile(file) {
    return this.#attempt(() => this.#open(null, file.name, (source) => readLocal(file, source)));
  }

  /**
   * @param {string} prompt
   * @param {Record<string, unknown>} options by the runtime's names; what is left out has the runtime's default
   * @param {(token: Token) => void} [onToken]
   * @returns {Promise<Summary>}
   */
  generate(prompt, options, onToken = () => undefined) {
    return this.#attempt(async () => {
      this.#store.dispatch("generate");
      const poll = setInterval(() => this.#refreshFigures(), FIGURES_EVERY_MS);
      try {
        return await this.#stream(prompt, options, onToken);
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
        const token = await this.#client.request("step");
        this.#transcript.append(token.text);
        return token;
      } finally {
        await this.#settle();
      }
    });
  }

  /** Ends a generation, or cancels a load; resolves when the page is usable again. */
  async stop() {
    const { state } = this.#store.snapshot;
    if (!this.#store.allows("stop")) return { stopped: false };
    if (state === "loading") this.#loading?.abort();
    const answer = state === "generating" ? await this.#client.stop() : { stopped: true };
    await this.#running;
    return answer;
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

  /** The figures of this moment; without a worker, the last known. */
  async figures() {
    await this.#refreshFigures();
    const { figures, state } = this.#store.snapshot;
    return { ...figures, state };
  }

  get #client() {
    if (this.#worker === null) throw new PageError("NotReady", "The runtime has not been started.");
    return this.#worker;
  }

  /**
   * Runs one request, and shows why it failed if it does.
   * @template T
   * @param {() => Promise<T>} run
   * @returns {Promise<T>}
   */
  async #attempt(run) {
    this.#store.update({ notice: null });
    const wasIdle = !this.#store.allows("stop");
    const outcome = run();
    if (wasIdle && this.#store.allows("stop")) this.#running = outcome.catch(() => undefined);
    try {
      return await outcome;
    } catch (error) {
      if (error instanceof PageError && error.code !== "Cancelled") this.#report(error);
      throw error;
    }
  }

  /**
   * @param {"reset" | "free"} event also the worker's method
   * @param {Partial<import("./store.js").Snapshot>} [patch]
   */
  #command(event, patch = {}) {
    return this.#attempt(async () => {
      this.#store.require(event);
      const figures = await this.#client.request(event);
      this.#store.dispatch(event, { ...patch, ...this.#shown(figures) });
    });
  }

  /**
   * @param {string | null} modelId
   * @param {string} modelLabel
   * @param {(source: Source) => Promise<ArrayBuffer>} read
   */
  async #open(modelId, modelLabel, read) {
    const hadModel = this.#store.allows("free");
    this.#store.dispatch("load", { modelId, modelLabel, progress: { phase: "Opening", done_bytes: 0, total_bytes: null } });
    this.#loading = new AbortController();
    try {
      if (hadModel) await this.#client.request("free");
      const figures = await this.#fetchAndCompile(read, this.#loading.signal);
      this.#store.dispatch("loaded", { progress: null, ...this.#shown(figures) });
    } catch (error) {
      throw await this.#notLoaded(error);
    }
  }

  /**
   * @param {(source: Source) => Promise<ArrayBuffer>} read
   * @param {AbortSignal} signal
   * @returns {Promise<Figures>}
   */
  async #fetchAndCompile(read, signal) {
    const inspect = (/** @type {ArrayBuffer} */ header) => this.#client.request("inspect", {}, header);
    const onProgress = (/** @type {Progress} */ progress) => this.#store.update({ progress });
    const started = performance.now();
    const data = await read({ signal, inspect, onProgress });
    signal.throwIfAborted();
    this.#own_figures = { ...this.#own_figures, model_fetch_ms: Math.round(performance.now() - started) };
    onProgress({ phase: "Compiling", done_bytes: data.byteLength, total_bytes: data.byteLength });
    const figures = await this.#client.request("load", {}, data);
    if (signal.aborted) await this.#client.request("free");
    signal.throwIfAborted();
    return figures;
  }

  /**
   * Leaves `loading` by the way that fits the reason; returns the error that the caller is to see.
   * @param {unknown} error
   */
  async #notLoaded(error) {
    const cancelled = error instanceof DOMException && error.name === "AbortError";
    if (this.#store.snapshot.state === "loading") {
      const figures = await this.#client.request("diagnostics");
      const patch = { modelId: null, modelLabel: null, progress: null, ...this.#shown(figures) };
      this.#store.dispatch(cancelled ? "cancelled" : "rejected", patch);
    }
    return cancelled ? new PageError("Cancelled", "Loading was cancelled.") : error;
  }

  /**
   * @param {string} prompt
   * @param {Record<string, unknown>} options
   * @param {(token: Token) => void} onToken
   */
  async #stream(prompt, options, onToken) {
    const summary = await this.#client.generate(prompt, options, {
      accepted: () => this.#transcript.begin(prompt),
      token: (token) => {
        this.#transcript.append(token.text);
        onToken(token);
      },
    });
    this.#transcript.append(summary.text);
    this.#transcript.end(summary.finish_reason);
    return summary;
  }

  /** Leaves `generating` for the state that the session is in, with all text shown. */
  async #settle() {
    this.#transcript.flush();
    if (this.#store.snapshot.state !== "generating") return;
    const figures = await this.#client.request("diagnostics");
    this.#store.dispatch(figures["state"] === "context-ready" ? "kept" : "emptied", this.#shown(figures));
  }

  async #refreshFigures() {
    if (["booting", "runtime-failed"].includes(this.#store.snapshot.state)) return;
    this.#store.update(this.#shown(await this.#client.request("diagnostics")));
  }

  /** @param {Figures} figures */
  #shown(figures) {
    const { modelId, lastErrorCode } = this.#store.snapshot;
    const model_id = modelId ?? figures["model_id"] ?? null;
    const last_error_code = lastErrorCode ?? figures["last_error_code"] ?? null;
    return { figures: { ...this.#own_figures, ...figures, model_id, last_error_code }, ledger: this.#ledger.entries };
  }

  async #readRegistry() {
    if (this.#store.snapshot.models.length > 0) return this.#store.snapshot.models;
    try {
      const url = new URL("models/selector.registry", this.#base).href;
      return parseRegistry(await this.#ledger.fetchText(url, "registry", REGISTRY_BUDGET_BYTES));
    } catch (error) {
      if (!(error instanceof PageError)) throw error;
      this.#report(error);
      return [];
    }
  }

  /** @param {PageError} error */
  #died(error) {
    this.#loading?.abort();
    this.#transcript.flush();
    this.#store.dispatch("died", { modelId: null, modelLabel: null, progress: null });
    this.#report(error);
  }

  /** @param {PageError} error */
  #report({ code, message }) {
    const figures = { ...this.#store.snapshot.figures, last_error_code: code };
    this.#store.update({ notice: { code, message }, lastErrorCode: code, figures });
  }
}

/**
 * @param {string} id
 * @param {readonly import("./registry.js").ModelEntry[]} models
 */
function unknownModel(id, models) {
  const known = models.map((model) => model.id).join(", ") || "none";
  return new PageError("UnknownModel", `There is no model "${id}" in the registry. Known are: ${known}.`, { id });
}
