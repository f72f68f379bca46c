// @ts-check
// What Python has found about a model on an earlier visit, and would find again: kept on this device under the digests
// of the runtime and of the model, and used only if its bytes have the SHA-256 that they were kept with.

import { sha256Of } from "./digest.js";
import { describedDigest, findKept, forget, keep, listKept } from "./kept.js";

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
    const bytes = await kept.arrayBuffer();
    if (await sha256Of(bytes) === describedDigest(kept)) return new TextDecoder().decode(bytes);
    await forget(name);
    return null;
  }

  /**
   * In the place of all that other versions of the runtime have found.
   * @param {string} sha256 of the model
   * @param {string} label
   * @param {object} facts
   */
  async keep(sha256, label, facts) {
    const others = (await listKept()).filter(({ name }) => name.startsWith(FOLDER) && !name.startsWith(this.#folder));
    await Promise.all(others.map(({ name }) => forget(name)));
    const bytes = new TextEncoder().encode(JSON.stringify(facts));
    await keep({ name: this.#name(sha256), label, bytes: bytes.length, sha256: await sha256Of(bytes) }, new Blob([bytes]));
  }

  /** @param {string} sha256 */
  #name(sha256) {
    return `${this.#folder}${sha256}-${this.#circumstances}`;
  }
}
