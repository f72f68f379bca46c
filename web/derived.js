// @ts-check
// What Python has found about a model on an earlier visit, and would find again: kept on this device under the digests
// of the runtime and of the model, and used only if its bytes have the SHA-256 that they were kept with.

import { findKept, forget, intactBytes, keepInstead } from "./kept.js";

const FOLDER = "derived/";

export class DerivedFacts {
  #folder;
  #circumstances;

  /**
   * @param {string} runtime SHA-256 of the runtime's wheel
   * @param {number} threads
   * @param {string} kv_cache
   */
  constructor(runtime, threads, kv_cache) {
    this.#folder = `${FOLDER}${runtime}/`;
    this.#circumstances = `${threads}-${kv_cache}`;
  }

  /**
   * As JSON; null where nothing is kept, or what is kept has changed.
   * @param {string} sha256 of the model
   */
  async find(sha256) {
    const name = this.#name(sha256);
    const kept = await findKept(name);
    if (kept === undefined) return null;
    const bytes = await intactBytes(kept);
    if (bytes === null) await forget(name);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  }

  /**
   * In the place of all that other versions of the runtime have found.
   * @param {string} sha256 of the model
   * @param {string} label
   * @param {object} facts
   */
  keep(sha256, label, facts) {
    const { buffer } = new TextEncoder().encode(JSON.stringify(facts));
    const isOld = (/** @type {string} */ name) => name.startsWith(FOLDER) && !name.startsWith(this.#folder);
    return keepInstead({ name: this.#name(sha256), label }, buffer, isOld);
  }

  /** @param {string} sha256 */
  #name(sha256) {
    return `${this.#folder}${sha256}-${this.#circumstances}`;
  }
}
