// @ts-check
// window.tinypylm: the page's controls for a program. Same rules, same states, same errors.

import { PageError } from "./page-error.js";
import { TokenStream } from "./token-stream.js";

/**
 * @param {import("./actions.js").Actions} actions
 * @param {() => Promise<void>} booted the boot that is under way, or done
 */
export function createApi(actions, booted) {
  return Object.freeze({
    /** Resolves when a model can be loaded; rejects if the runtime cannot start. */
    get ready() {
      return booted();
    },
    /** Loads a model of the registry. @param {string} id */
    load: (id) => actions.load(id),
    generate,
    /** One more token: {id, text, logprob, index}. */
    step: () => actions.step(),
    /** Ends a generation or cancels a load: {stopped}, false if nothing ran. */
    stop: () => actions.stop(),
    /** Changes the loaded model's weights by a package, times `scale`; the context is gone. */
    applyAdapter,
    /** The weights are the file's again. */
    detachAdapters: () => actions.detachAdapters(),
    reset: () => actions.reset(),
    free: () => actions.free(),
    /** All figures, by snake_case name. */
    diagnostics: () => actions.figures(),
  });

  /**
   * Starts at once; an async iterator of {id, text, logprob, index}, whose end carries {finish_reason, text, figures}.
   * @param {string} prompt
   * @param {Record<string, unknown>} [options] temperature, top_k, top_p, min_p, repetition_penalty, seed,
   *   max_tokens, stop_strings; an unknown name is refused
   */
  function generate(prompt, options = {}) {
    return new TokenStream(
      async (/** @type {(token: import("./client.js").Token) => void} */ push) => {
        if (typeof prompt !== "string") throw notText(prompt);
        return actions.generate(prompt, plain(options), push);
      },
      () => actions.stop(),
    );
  }

  /**
   * @param {ArrayBuffer | Uint8Array} bytes of an adapter package; they stay usable
   * @param {{scale?: number}} [options]
   */
  async function applyAdapter(bytes, { scale } = {}) {
    return actions.applyAdapter(new Uint8Array(bytes).slice().buffer, plain(scale === undefined ? {} : { scale }));
  }
}

/**
 * Options as JSON can carry them: what has no JSON number goes as text, so that the refusal can name it.
 * @param {Record<string, unknown>} options
 */
export function plain(options) {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, plainValue(value)]));
}

/** @param {unknown} value */
function plainValue(value) {
  if (typeof value === "bigint" || typeof value === "function") return String(value);
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** @param {unknown} prompt */
function notText(prompt) {
  return new PageError("EmptyPrompt", `The prompt is ${typeof prompt}; it has to be a string that is not empty.`);
}
