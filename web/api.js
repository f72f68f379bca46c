// @ts-check
// window.tinypylm: the page's controls for a program. Same rules, same states, same errors. Pages of other people use
// tinypylm.js, which stands on the same actions.

import { conversation, generation, plain } from "./generation.js";

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
    chat,
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
   * @param {Record<string, unknown> & {signal?: AbortSignal}} [options] temperature, top_k, top_p, min_p,
   *   repetition_penalty, seed, max_tokens, stop_strings, top_logprobs, signal; receipt: true records it; an unknown
   *   name is refused
   */
  function generate(prompt, options = {}) {
    return generation(actions, prompt, options);
  }

  /**
   * The model's answer to a conversation, as `generate`.
   * @param {import("./client.js").Message | import("./client.js").Message[]} messages
   * @param {Record<string, unknown> & {signal?: AbortSignal}} [options]
   */
  function chat(messages, options = {}) {
    return conversation(actions, messages, options);
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
