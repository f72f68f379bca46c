// @ts-check
// What a person or a program can ask of the page. Each action asks the store whether it is allowed, does its work
// through the worker, and leaves state, figures and notice as they have to be - whether it worked or not.

import { NO_FETCHES } from "./assembly-fetches.js";
import { Client } from "./client.js";
import { forget, listKept } from "./kept.js";
import { ModelRuntime } from "./model-runtime.js";
import { loadFetched, loadLocal } from "./model-source.js";
import { ModuleAssembly } from "./module-assembly.js";
import { PageError } from "./page-error.js";
import { AssemblyError, phaseFigures } from "./phases.js";
import { EMPTY_REGISTRY, fetchRegistry, findEntry } from "./registry.js";
import { isDrift, startRuntime } from "./runtime-start.js";
import { settingsHere } from "./threads.js";

const FIGURES_EVERY_MS = 250;
const NO_ASSEMBLY = Object.freeze({ ...NO_FETCHES, ...phaseFigures([]) });
const OPENING = Object.freeze({ phase: "Opening", done_bytes: 0, total_bytes: null });

/**
 * @typedef {import("./client.js").Token} Token
 * @typedef {import("./client.js").Prompt} Prompt
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {import("./store.js").Progress} Progress
 * @typedef {import("./registry.js").Registry} Registry
 * @typedef {(runtime: ModelRuntime) => Promise<Figures>} Load
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
  #settings;
  /** @type {Client | null} */
  #worker = null;
  /** @type {Promise<void>} the start of Python that is under way, or done */
  #booted = Promise.resolve();
  /** @type {Promise<void>} resolves when a model may be asked for */
  #verified = Promise.resolve();
  /** @type {Promise<Registry>} */
  #registry = Promise.resolve(EMPTY_REGISTRY);
  #known = EMPTY_REGISTRY;
  /** @type {ModuleAssembly | null} of the model that is there, was refused, or comes in */
  #assembly = null;
  /** @type {AbortController | null} */
  #loading = null;
  /** @type {Promise<unknown>} ends when all does that is under way */
  #running = Promise.resolve();
  /** @type {Promise<void> | null} a Reset, Free or adapter under way: what is asked for meanwhile comes after it */
  #commanding = null;
  /** @type {Figures} what the page knows and the runtime does not */
  #own_figures = { cross_origin_isolated: globalThis.crossOriginIsolated };

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./fetch-ledger.js").FetchLedger} ledger
   * @param {Transcript} transcript
   * @param {string} base address that everything is relative to
   * @param {import("./threads.js").Settings} [settings]
   */
  constructor(store, ledger, transcript, base, settings = settingsHere()) {
    this.#store = store;
    this.#settings = settings;
    this.#ledger = ledger;
    this.#transcript = transcript;
    this.#base = base;
  }

  /** Starts the worker and Python in it; resolves when a model can be loaded. */
  boot() {
    this.#booted = this.#start();
    return this.#booted;
  }

  async #start() {
    const onBoot = (/** @type {Progress} */ progress) => this.#store.update({ progress });
    const worker = new Client({ onBoot, onDeath: (error) => this.#died(error) }, this.#settings);
    this.#worker = worker;
    this.#registry = this.#readRegistry();
    const { booted, verified } = startRuntime(worker, this.#ledger, this.#base);
    this.#verified = verified;
    const started = booted.catch((error) => this.#notStarted(error));
    const [{ figures, boot_ms, ...facts }] = await Promise.all([started, this.#registry]);
    this.#own_figures = { ...this.#own_figures, ...facts, boot_ms: Math.round(boot_ms) };
    this.#store.dispatch("booted", { progress: null, ...this.#shown(figures) });
    if (worker.refusal !== null) this.#report(worker.refusal);
    if (this.#loading !== null) this.#store.dispatch("load", { progress: OPENING });
    this.#listKept();
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
      const registry = this.#store.snapshot.state === "booting" ? await this.#registry : this.#known;
      this.#store.require("load");
      const entry = findEntry(registry, id);
      await this.#open(id, entry.label, (runtime) => {
        this.#assembly = new ModuleAssembly(entry, this.#ledger, new URL("models/", this.#base).href, runtime);
        return this.#assembly.run(registry);
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
    return this.#generation((listeners) => this.#client.generate(prompt, options, listeners), prompt, onToken);
  }

  /**
   * Runs the generation of a receipt again, and compares.
   * @param {ArrayBuffer} receipt
   * @returns {Promise<Verdict>}
   */
  async replay(receipt) {
    this.#store.update({ verdict: null });
    const run = (/** @type {import("./client.js").Listeners} */ listeners) => this.#client.replay(receipt, listeners);
    const summary = await this.#generation(run, "", () => undefined);
    const verdict = /** @type {Verdict} */ (summary.replay);
    this.#store.update({ verdict });
    return verdict;
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
      const poll = setInterval(() => this.#refreshFigures().catch(() => undefined), FIGURES_EVERY_MS);
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
    if (this.#commanding !== null) await this.#commanding;
    const { state } = this.#store.snapshot;
    if (!this.#store.allows("stop")) return { stopped: false };
    if (state === "loading") this.#loading?.abort();
    const answer = state === "generating" ? await this.#client.stop() : { stopped: true };
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
      return this.#client.request("validate_adapter", params, data);
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
    return this.#client.request(method, params, data);
  }

  /**
   * Ends the worker for good.
   * @param {PageError} error what is under way is answered with
   */
  close(error) {
    this.#loading?.abort(error);
    this.#worker?.dismiss(error);
  }

  /** Has the worker put on this device what makes the next visit quicker. */
  async keep() {
    const { kept } = await this.#client.request("keep");
    if (kept > 0) await this.#listKept();
  }

  /**
   * Deletes a file from this device; a loaded model stays loaded.
   * @param {string} name
   */
  async forget(name) {
    await forget(name);
    await this.#listKept();
  }

  async #listKept() {
    this.#store.update({ keptFiles: await listKept() });
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
    if (!this.#store.allows("reload")) this.#store.update({ notice: null });
    const outcome = this.#commanding === null ? run() : this.#commanding.then(run);
    this.#running = Promise.allSettled([this.#running, outcome]).then(() => undefined);
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
    return this.#alone(async () => {
      this.#store.require(event);
      const figures = await this.#client.request(event);
      if (event === "free") this.#assembly = null;
      this.#store.dispatch(event, { ...patch, ...this.#shown(figures, patch.modelId) });
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
      await this.#client.request(method, params, data);
    } finally {
      const figures = await this.#client.request("diagnostics");
      if (figures["state"] === "model-ready") this.#store.dispatch("adapt", this.#shown(figures));
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
    this.#assembly = null;
    const circumstances = { client: this.#client, booted: this.#booted, verified: this.#verified, signal: loading.signal };
    const runtime = new ModelRuntime(this.#store, circumstances);
    try {
      if (hadModel) await this.#client.request("free");
      const figures = await runtime.afterBoot(load(runtime));
      this.#own_figures = { ...this.#own_figures, model_fetch_ms: runtime.fetch_ms };
      this.#store.dispatch("loaded", { progress: null, ...this.#shown(figures) });
    } catch (error) {
      throw await this.#notLoaded(error, loading);
    } finally {
      if (this.#loading === loading) this.#loading = null;
      this.#listKept();
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
      const figures = await this.#client.request("diagnostics");
      const patch = { modelId: null, modelLabel: null, progress: null, ...this.#shown(figures, null) };
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
      accepted: (text = shown(prompt)) => this.#transcript.begin(text, Array.isArray(prompt)),
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
    const figures = await this.#client.request("diagnostics");
    this.#store.dispatch(figures["state"] === "context-ready" ? "kept" : "emptied", this.#shown(figures));
  }

  async #refreshFigures() {
    if (["booting", "manifest-drift", "runtime-failed"].includes(this.#store.snapshot.state)) return;
    this.#store.update(this.#shown(await this.#client.request("diagnostics")));
  }

  /**
   * @param {Figures} figures
   * @param {string | null} [modelId] of the registry; null where none of it is loaded
   */
  #shown(figures, modelId = this.#store.snapshot.modelId) {
    const { lastErrorCode } = this.#store.snapshot;
    const model_id = modelId ?? figures["model_id"] ?? null;
    const last_error_code = lastErrorCode ?? figures["last_error_code"] ?? null;
    const known = { ...NO_ASSEMBLY, ...this.#own_figures, ...this.#assembly?.figures };
    return { figures: { ...known, ...figures, model_id, last_error_code }, ledger: this.#ledger.entries };
  }

  /** @returns {Promise<Registry>} the one that was read already, or none where it is refused */
  async #readRegistry() {
    const known = await this.#registry;
    if (known.models.length > 0) return known;
    try {
      const registry = await fetchRegistry(this.#ledger, this.#base);
      this.#known = registry;
      this.#store.update({ models: registry.models });
      return registry;
    } catch (error) {
      if (!(error instanceof PageError)) throw error;
      this.#report(error);
      return EMPTY_REGISTRY;
    }
  }

  /**
   * Leaves `booting` for good where the page's own files are not those of the manifest.
   * @param {unknown} error
   * @returns {never}
   */
  #notStarted(error) {
    if (error instanceof PageError && isDrift(error)) {
      this.#loading?.abort();
      this.#client.dismiss(error);
      this.#report(error);
      this.#store.dispatch("drifted", { modelId: null, modelLabel: null, progress: null });
    } else if (error instanceof PageError) {
      this.#client.fail(error);
    }
    throw error;
  }

  /** @param {PageError} error */
  #died(error) {
    this.#loading?.abort(error);
    this.#transcript.flush();
    this.#store.dispatch("died", { modelId: null, modelLabel: null, progress: null });
    this.#report(error);
  }

  /** @param {PageError} error */
  #report({ code, message }) {
    if (this.#store.allows("reload")) return; // what halted the page stays on it
    const figures = { ...this.#store.snapshot.figures, last_error_code: code };
    this.#store.update({ notice: { code, message }, lastErrorCode: code, figures });
  }
}

/**
 * What stands in the transcript for a prompt: of a conversation, what was said last.
 * @param {Prompt} prompt
 */
function shown(prompt) {
  if (typeof prompt === "string") return prompt;
  return prompt instanceof Uint8Array ? new TextDecoder().decode(prompt) : prompt.at(-1)?.content ?? "";
}
