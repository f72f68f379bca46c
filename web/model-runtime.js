// @ts-check
// What the worker does with a model that is being loaded. While Python starts it has no answers yet, and what it is
// given waits.

/**
 * @typedef {{memory_bytes: number, file_bytes: number}} Inspection
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {{
 *   client: import("./client.js").Client, booted: Promise<void>, verified: Promise<void>, signal: AbortSignal,
 * }} Circumstances
 */

export class ModelRuntime {
  #store;
  #client;
  #booted;
  #started = performance.now();
  /** @type {number | null} from the beginning until all bytes were there */
  fetch_ms = null;

  /**
   * @param {import("./store.js").Store} store
   * @param {Circumstances} circumstances
   */
  constructor(store, { client, booted, verified, signal }) {
    this.#store = store;
    this.#client = client;
    this.#booted = booted;
    this.verified = verified;
    this.signal = signal;
  }

  get #isBooting() {
    return this.#store.snapshot.state === "booting";
  }

  /**
   * @param {ArrayBuffer} header the first 108 bytes of a model
   * @returns {Promise<Inspection | null>} null while Python starts
   */
  async inspect(header) {
    return this.#isBooting ? null : this.#client.request("inspect", {}, header);
  }

  /** @param {import("./store.js").Progress} progress */
  report(progress) {
    if (!this.#isBooting) this.#store.update({ progress });
  }

  /**
   * A model that was refused while Python started is refused when that has ended: one thing after the other.
   * @param {Promise<Figures>} figures
   */
  async afterBoot(figures) {
    const [outcome] = await Promise.allSettled([figures, this.#booted]);
    await this.#booted;
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  }

  /**
   * A model that nothing speaks for but its own checksums.
   * @param {ArrayBuffer} file
   * @returns {Promise<Figures>}
   */
  load(file) {
    return this.#compiled("load", {}, [file]);
  }

  /**
   * @param {string} name of the registry's entry
   * @param {[component: string, bytes: ArrayBuffer][]} files
   * @param {ArrayBuffer} model
   * @param {{sha256: string, keep_as?: string}} params
   * @returns {Promise<Figures>}
   */
  assemble(name, files, model, params) {
    const sizes = files.map(([component, bytes]) => [component, bytes.byteLength]);
    const copies = files.map(([, bytes]) => bytes.slice(0)); // a second attempt needs them again
    return this.#compiled("assemble", { ...params, name, files: sizes }, [...copies, model]);
  }

  /**
   * @param {string} method
   * @param {Record<string, unknown>} params
   * @param {ArrayBuffer[]} data
   */
  async #compiled(method, params, data) {
    this.fetch_ms = Math.round(performance.now() - this.#started);
    await this.#booted;
    this.signal.throwIfAborted();
    const total_bytes = data.reduce((sum, part) => sum + part.byteLength, 0);
    this.#store.update({ progress: { phase: "Verifying and compiling", done_bytes: total_bytes, total_bytes } });
    const figures = await this.#client.request(method, params, data);
    if (this.signal.aborted) await this.#client.request("free");
    this.signal.throwIfAborted();
    return figures;
  }
}
