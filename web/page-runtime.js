// @ts-check
// The runtime behind the page, from its start to its death: the worker, the registry, and what the page shows of both.

import { NO_FETCHES } from "./assembly-fetches.js";
import { Client } from "./client.js";
import { forget, listKept } from "./kept.js";
import { ModelRuntime } from "./model-runtime.js";
import { PageError } from "./page-error.js";
import { phaseFigures } from "./phases.js";
import { EMPTY_REGISTRY, fetchRegistry, findEntry } from "./registry.js";
import { isDrift, startRuntime } from "./runtime-start.js";
import { settingsHere } from "./threads.js";

const NO_ASSEMBLY = Object.freeze({ ...NO_FETCHES, ...phaseFigures([]) });

/**
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {import("./registry.js").Registry} Registry
 * @typedef {{onBooted: () => void, onLost: (error?: PageError) => void}} Watcher the second is called when the worker is
 *   gone, with the reason if it has died
 */

export class PageRuntime {
  #store;
  #ledger;
  #base;
  #watcher;
  #settings;
  /** @type {Client | null} */
  #worker = null;
  /** @type {Promise<void>} the start of Python that is under way, or done */
  booted = Promise.resolve();
  /** @type {Promise<void>} resolves when a model may be asked for */
  verified = Promise.resolve();
  /** @type {Promise<Registry>} */
  registry = Promise.resolve(EMPTY_REGISTRY);
  /** The registry, once it was read. */
  known = EMPTY_REGISTRY;
  /** @type {PageError | null} why there is none */
  #unread = null;
  /** @type {import("./module-assembly.js").ModuleAssembly | null} of the model that is there, was refused, or comes in */
  assembly = null;
  /** @type {Figures} what the page knows and Python does not */
  own_figures = { cross_origin_isolated: globalThis.crossOriginIsolated };

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./fetch-ledger.js").FetchLedger} ledger
   * @param {string} base address that everything is relative to
   * @param {Watcher} watcher
   * @param {import("./threads.js").Settings} [settings]
   */
  constructor(store, ledger, base, watcher, settings = settingsHere()) {
    this.#store = store;
    this.#ledger = ledger;
    this.#base = base;
    this.#watcher = watcher;
    this.#settings = settings;
  }

  get client() {
    if (this.#worker === null) throw new PageError("NotReady", "The runtime has not been started.");
    return this.#worker;
  }

  /** Starts the worker and Python in it; resolves when a model can be loaded. */
  boot() {
    this.booted = this.#start();
    return this.booted;
  }

  async #start() {
    const onBoot = (/** @type {import("./store.js").Progress} */ progress) => this.#store.update({ progress });
    const worker = new Client({ onBoot, onDeath: (error) => this.#died(error) }, this.#settings);
    this.#worker = worker;
    this.registry = this.#readRegistry();
    const { booted, verified } = startRuntime(worker, this.#ledger, this.#base);
    this.verified = verified;
    const started = booted.catch((error) => this.#notStarted(error));
    const [{ figures, boot_ms, ...facts }] = await Promise.all([started, this.registry]);
    worker.requireLife(); // it may have ended while the registry came; by now there may be another one
    this.own_figures = { ...this.own_figures, ...facts, boot_ms: Math.round(boot_ms) };
    this.#store.dispatch("booted", { progress: null, ...this.shown(figures) });
    if (worker.refusal !== null) this.report(worker.refusal);
    this.#watcher.onBooted();
  }

  /**
   * Ends the worker for good.
   * @param {PageError} error what is under way is answered with
   */
  dismiss(error) {
    this.#worker?.dismiss(error);
  }

  /**
   * What the worker does with a model that is being loaded, in the place of the one before it.
   * @param {AbortSignal} signal
   */
  forModel(signal) {
    this.assembly = null;
    return new ModelRuntime(this.#store, { client: this.client, booted: this.booted, verified: this.verified, signal });
  }

  /**
   * @param {Registry} registry
   * @param {string} id
   * @throws {PageError} why there is no registry, or as findEntry
   */
  entryOf(registry, id) {
    if (registry === EMPTY_REGISTRY && this.#unread !== null) throw this.#unread;
    return findEntry(registry, id);
  }

  async keep() {
    const { kept } = await this.client.request("keep");
    if (kept > 0) await this.listKept();
  }

  /** @param {string} name */
  async forget(name) {
    await forget(name);
    await this.listKept();
  }

  async listKept() {
    this.#store.update({ keptFiles: await listKept() });
  }

  async figures() {
    await this.refreshFigures();
    const { figures, state } = this.#store.snapshot;
    return { ...figures, state };
  }

  async refreshFigures() {
    if (["booting", "manifest-drift", "runtime-failed"].includes(this.#store.snapshot.state)) return;
    this.#store.update(this.shown(await this.client.request("diagnostics")));
  }

  /**
   * @param {Figures} figures
   * @param {string | null} [modelId] of the registry; null where none of it is loaded
   */
  shown(figures, modelId = this.#store.snapshot.modelId) {
    const { lastErrorCode } = this.#store.snapshot;
    const model_id = modelId ?? figures["model_id"] ?? null;
    const last_error_code = lastErrorCode ?? figures["last_error_code"] ?? null;
    const known = { ...NO_ASSEMBLY, ...this.own_figures, ...this.assembly?.figures };
    return { figures: { ...known, ...figures, model_id, last_error_code }, ledger: this.#ledger.entries };
  }

  /** @param {PageError} error */
  report({ code, message }) {
    if (this.#store.allows("reload")) return; // what halted the page stays on it
    const figures = { ...this.#store.snapshot.figures, last_error_code: code };
    this.#store.update({ notice: { code, message }, lastErrorCode: code, figures });
  }

  /** @returns {Promise<Registry>} the one that was read already, or none where it is refused */
  async #readRegistry() {
    const known = await this.registry;
    if (known.models.length > 0) return known;
    try {
      const registry = await fetchRegistry(this.#ledger, this.#base);
      this.known = registry;
      this.#store.update({ models: registry.models });
      return registry;
    } catch (error) {
      if (!(error instanceof PageError)) throw error;
      this.#unread = error;
      this.report(error);
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
      this.#watcher.onLost();
      this.client.dismiss(error);
      this.report(error);
      this.#store.dispatch("drifted", { modelId: null, modelLabel: null, progress: null });
    } else if (error instanceof PageError) {
      this.client.fail(error);
    }
    throw error;
  }

  /** @param {PageError} error */
  #died(error) {
    this.#watcher.onLost(error);
    this.#store.dispatch("died", { modelId: null, modelLabel: null, progress: null });
    this.report(error);
  }
}
