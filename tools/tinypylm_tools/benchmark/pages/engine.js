// @ts-check
// What a peer's page offers to the benchmark: `window.engine`, loaded with the model of its site. The address says
// how many threads it shall use, and how long its context is.

/**
 * @typedef {import("../../../../web/benchmark.js").OwnClock} OwnClock
 * @typedef {import("../../../../web/benchmark.js").Delivery} Delivery
 * @typedef {{
 *   load: (options: {threads: number, context_length: number}) => Promise<void>,
 *   run: (prompt: string, max_tokens: number) => Promise<Delivery>,
 *   ownClock: (prompt_tokens: number, max_tokens: number) => Promise<OwnClock>,
 * }} Engine
 */

/**
 * Loads the model and puts the engine where the benchmark finds it.
 * @param {Engine} engine
 */
export async function serve(engine) {
  const address = new URLSearchParams(location.search);
  await engine.load({ threads: Number(address.get("threads")), context_length: Number(address.get("context_length")) });
  Object.assign(window, { engine });
  document.documentElement.dataset["state"] = "loaded";
}

/**
 * A file of the peer's site.
 * @param {string} name
 */
export async function fetchBlob(name) {
  return (await fetch(name)).blob();
}

/** When each token of one run reached the page. */
export class Arrivals {
  #started = performance.now();
  /** @type {number[]} */
  #ms = [];

  get count() {
    return this.#ms.length;
  }

  add() {
    this.#ms.push(performance.now() - this.#started);
  }

  /**
   * @param {number} tokens as the engine counts them; a token that ends inside a character arrives with a later one
   * @returns {Delivery}
   */
  figures(tokens) {
    return { tokens, first_ms: this.#ms[0] ?? NaN, arrivals_ms: this.#ms };
  }
}
