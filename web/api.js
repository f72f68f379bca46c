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
    /** The text of the last generation's receipt that was made with the option `receipt`. */
    receipt: () => actions.receipt,
    /** Runs the generation of a receipt again: {outcome, message, ..}. */
    replay,
    /** One more token: {id, text, logprob, index}. */
    step: () => actions.step(),
    /** Ends a generation or cancels a load: {stopped}, false if nothing ran. */
    stop: () => actions.stop(),
    validateAdapter,
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
   * @param {import("./client.js").Prompt} prompt text, or its UTF-8
   * @param {Record<string, unknown>} [options] temperature, top_k, top_p, min_p, repetition_penalty, seed,
   *   max_tokens, stop_strings; receipt: true records it; an unknown name is refused
   */
  function generate(prompt, options = {}) {
    return new TokenStream(
      async (/** @type {(token: import("./client.js").Token) => void} */ push) => {
        if (typeof prompt !== "string" && !(prompt instanceof Uint8Array)) throw notText(prompt);
        return actions.generate(prompt, plain(options), push);
      },
      () => actions.stop(),
    );
  }

  /** @param {string | ArrayBuffer | Uint8Array} receipt its text or bytes, which stay usable */
  async function replay(receipt) {
    return actions.replay((typeof receipt === "string" ? new TextEncoder().encode(receipt) : new Uint8Array(receipt).slice()).buffer);
  }

  /**
   * @param {ArrayBuffer | Uint8Array} bytes of an adapter package; they stay usable
   * @param {{scale?: number}} [options]
   */
  async function applyAdapter(bytes, { scale } = {}) {
    return actions.applyAdapter(new Uint8Array(bytes).slice().buffer, plain(scale === undefined ? {} : { scale }));
  }

  /**
   * What a package for the loaded model holds: {format, entries, package_bytes, scale, checksum}; nothing changes.
   * @param {ArrayBuffer | Uint8Array} bytes
   * @param {{scale?: number}} [options]
   */
  async function validateAdapter(bytes, { scale } = {}) {
    return actions.validateAdapter(new Uint8Array(bytes).slice().buffer, plain(scale === undefined ? {} : { scale }));
  }
}

/**
 * Options as JSON can carry them: what has no JSON value goes as text, so that the refusal can name it.
 * @template T
 * @param {T} options
 * @returns {T}
 */
export function plain(options) {
  try {
    return JSON.parse(JSON.stringify(options, (_, value) => plainValue(value)));
  } catch (error) {
    throw new PageError("OptionOutOfRange", `The options cannot be written as JSON (${error}). Give names and values.`);
  }
}

/** @param {unknown} value */
function plainValue(value) {
  if (["bigint", "function", "symbol"].includes(typeof value)) return String(value);
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** @param {unknown} prompt */
function notText(prompt) {
  return new PageError("EmptyPrompt", `The prompt is ${prompt === null ? "null" : typeof prompt}; it has to be a string, or a Uint8Array of UTF-8, that is not empty.`);
}
