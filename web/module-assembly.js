// @ts-check
// One entry of the registry, assembled: its plan, then the model and all that speaks for it, then both into Python,
// which verifies them, loads the model and applies the adapters. Whatever fails on the way leaves no model behind.

import { AssemblyFetches } from "./assembly-fetches.js";
import { loadRegistered } from "./model-source.js";
import { PLAN_PHASE, parsePlan, phaseOf } from "./module-plan.js";
import { PageError } from "./page-error.js";
import { AssemblyError, phaseFigures } from "./phases.js";

const MODEL_PHASE = "load-model-bytes";
const FATAL = Object.freeze(["RuntimeFailed", "HelperLost"]);
const APART = Object.freeze(["registry", "plan", "model"]);

/**
 * @typedef {import("./registry.js").ModelEntry} ModelEntry
 * @typedef {import("./registry.js").Registry} Registry
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {[component: string, bytes: ArrayBuffer]} File
 */

export class ModuleAssembly {
  #entry;
  #ledger;
  #runtime;
  #fetches;
  /** @type {readonly string[]} */
  #verified = [];

  /**
   * @param {ModelEntry} entry
   * @param {import("./fetch-ledger.js").FetchLedger} ledger
   * @param {string} models address of the folder, with a slash at its end
   * @param {import("./model-runtime.js").ModelRuntime} runtime
   */
  constructor(entry, ledger, models, runtime) {
    this.#entry = entry;
    this.#ledger = ledger;
    this.#runtime = runtime;
    this.#fetches = new AssemblyFetches(ledger, models, entry);
  }

  /** Fetches and phases of this assembly, as far as it has come. @returns {Figures} */
  get figures() {
    return { ...this.#fetches.figures, ...phaseFigures(this.#verified) };
  }

  /**
   * Nothing of the model is asked for before the page's own files are verified, nor the model before its plan is.
   * @param {Registry} registry
   * @returns {Promise<Figures>} those of the runtime
   * @throws {PageError} of the model's bytes; AssemblyError of all else
   */
  async run(registry) {
    const signal = this.#runtime.signal;
    await this.#runtime.verified;
    signal.throwIfAborted();
    const planned = await inStep(PLAN_PHASE, "plan", () => this.#fetches.fetch("plan", signal));
    const plan = await inStep(PLAN_PHASE, "plan", async () => {
      const parsed = parsePlan(planned, this.#entry, registry.ledger);
      this.#fetches.allow(parsed.fetches);
      return parsed;
    });
    return this.#load([["registry", registry.bytes], ["plan", planned]], plan);
  }

  /**
   * Evidence and model come in side by side; where either fails, the other is given up.
   * @param {File[]} known
   * @param {import("./module-plan.js").ModulePlan} plan
   */
  async #load(known, { fetches, phases }) {
    const either = new AbortController();
    const signal = AbortSignal.any([this.#runtime.signal, either.signal]); // the first may be aborted by now
    const components = fetches.map(({ component }) => component).filter((name) => !APART.includes(name));
    const evidence = Promise.all(components.map((component) => this.#evidence(component, signal)));
    /** @type {unknown} */
    let failure = null;
    evidence.catch((error) => {
      failure = error;
      either.abort();
    });
    const { bytes, sha256 } = /** @type {{bytes: number, sha256: string}} */ (this.#fetches.take("model"));
    const { beforeRequest } = this.#fetches;
    const source = { url: this.#fetches.url("model"), bytes, sha256, signal, beforeRequest };
    try {
      return await loadRegistered(source, this.#ledger, this.#runtime, async (file, keep) => {
        const files = [...known, ...await evidence];
        return this.#assemble(files, file, keep ? { sha256, keep_as: this.#entry.label } : { sha256 }, phases);
      });
    } catch (error) {
      either.abort();
      throw failure ?? error;
    }
  }

  /**
   * @param {string} component
   * @param {AbortSignal} signal
   * @returns {Promise<File>}
   */
  #evidence(component, signal) {
    return inStep(phaseOf(component), component, async () => [component, await this.#fetches.fetch(component, signal)]);
  }

  /**
   * @param {File[]} files
   * @param {ArrayBuffer} model
   * @param {{sha256: string, keep_as?: string}} params
   * @param {readonly string[]} phases
   */
  async #assemble(files, model, params, phases) {
    try {
      const figures = await this.#runtime.assemble(this.#entry.id, files, model, params);
      this.#verified = phases;
      return figures;
    } catch (error) {
      if (!(error instanceof PageError)) throw error;
      const { phase, step } = /** @type {Record<string, string>} */ (error.detail);
      this.#verified = phases.slice(0, Math.max(0, phases.indexOf(phase ?? "")));
      throw phase === undefined || phase === MODEL_PHASE ? error : new AssemblyError(phase, step ?? phase, error);
    }
  }
}

/**
 * @template T
 * @param {string} phase
 * @param {string} step
 * @param {() => Promise<T>} work
 */
async function inStep(phase, step, work) {
  try {
    return await work();
  } catch (error) {
    throw error instanceof PageError && !FATAL.includes(error.code) ? new AssemblyError(phase, step, error) : error;
  }
}
