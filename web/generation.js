// @ts-check
// One generation for a program, of the page's own or of another one: options made JSON, an AbortSignal followed, tokens
// as an async iterator.

import { PageError } from "./page-error.js";
import { TokenStream } from "./token-stream.js";

/**
 * @typedef {import("./client.js").Prompt} Prompt
 * @typedef {import("./client.js").Token} Token
 * @typedef {import("./actions.js").Summary} Result `text` is all of it
 */

/**
 * Starts at once. When `signal` is aborted the generation is stopped; once it is, the stream rejects with the reason.
 * @param {import("./actions.js").Actions} actions
 * @param {Prompt} prompt
 * @param {Record<string, unknown> & {signal?: AbortSignal}} options
 * @returns {TokenStream<Token, Result>}
 */
export function generation(actions, prompt, { signal, ...options }) {
  const leave = () => actions.stop().catch(() => undefined); // what fails it fails the generation too, which says so
  const abort = () => {
    stream.drop();
    leave();
  };
  const stream = new TokenStream(async (/** @type {(token: Token) => void} */ push) => {
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await told(actions, prompt, plain(options), (token) => signal?.aborted || push(token));
    } finally {
      signal?.removeEventListener("abort", abort);
      signal?.throwIfAborted();
    }
  }, leave, () => signal?.throwIfAborted());
  return stream;
}

/**
 * The answer to one message or several, as `generation`.
 * @param {import("./actions.js").Actions} actions
 * @param {import("./client.js").Message | readonly import("./client.js").Message[]} messages
 * @param {Record<string, unknown> & {signal?: AbortSignal}} options
 */
export function conversation(actions, messages, options) {
  return generation(actions, [messages].flat(), options);
}

/**
 * @param {import("./actions.js").Actions} actions
 * @param {Prompt} prompt
 * @param {unknown} options
 * @param {(token: Token) => void} push
 * @returns {Promise<Result>}
 */
async function told(actions, prompt, options, push) {
  if (typeof prompt !== "string" && !(prompt instanceof Uint8Array) && !Array.isArray(prompt)) throw notText(prompt);
  let text = "";
  const said = Array.isArray(prompt) ? spoken(prompt) : prompt;
  const summary = await actions.generate(said, options, (token) => {
    text += token.text;
    push(token);
  });
  return { ...summary, text: text + summary.text };
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

/**
 * Messages as the worker can be told them: those of a page may be a framework's proxies.
 * @template T
 * @param {T} messages
 * @returns {T}
 * @throws {PageError} UnusableMessages
 */
export function spoken(messages) {
  try {
    return JSON.parse(JSON.stringify(messages));
  } catch (error) {
    throw new PageError("UnusableMessages", `The messages cannot be written as JSON (${error}). Give texts.`, { index: null });
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
