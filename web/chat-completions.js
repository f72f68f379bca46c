// @ts-check
// chat.completions.create as OpenAI's clients have it, over a TinyPyLM. What of it is not implemented is refused by name.

import { PageError } from "./page-error.js";

/**
 * @typedef {import("./tinypylm.js").TinyPyLM} TinyPyLM
 * @typedef {import("./tinypylm.js").Token} Token
 * @typedef {import("./tinypylm.js").Result} Result
 * @typedef {import("./tinypylm.js").Generation} Generation
 * @typedef {import("./openai.js").ChatCompletion} ChatCompletion
 * @typedef {import("./openai.js").ChatCompletionChunk} ChatCompletionChunk
 * @typedef {import("./openai.js").ChatCompletionRequest} ChatCompletionRequest
 * @typedef {{id: string, created: number, model: string}} Head
 * @typedef {{head: Head, with_logprobs: boolean, with_usage: boolean}} Reply what every answer to a request carries
 */

/** Names that mean the same in a generation's options. */
const SAMPLING = Object.freeze(["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed"]);
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true }); // which would take U+FEFF off a token
const IMPLEMENTED = Object.freeze([
  "messages", "model", "stream", "stream_options", ...SAMPLING, "max_tokens", "max_completion_tokens", "stop", "logprobs",
  "top_logprobs", "n",
]);

/** @type {Readonly<Record<string, string>>} what comes nearest to options of OpenAI's that are not implemented */
const NEAREST = Object.freeze({
  presence_penalty: "repetition_penalty", frequency_penalty: "repetition_penalty", logit_bias: "top_k", best_of: "n",
  response_format: "stop", prediction: "messages", tools: "messages", functions: "messages", reasoning_effort: "max_tokens",
});

export class OpenAI {
  /** @param {TinyPyLM} lm with a model that was made for chat */
  constructor(lm) {
    this.chat = Object.freeze({
      completions: Object.freeze({
        create: /** @type {import("./openai.js").Create} */ ((body, terms) => create(lm, body, terms)),
      }),
    });
  }
}

/**
 * @param {TinyPyLM} lm
 * @param {ChatCompletionRequest} body
 * @param {{signal?: AbortSignal}} [terms]
 * @returns {Promise<any>} the answer; with `stream`, when its first token is there, its chunks
 */
async function create(lm, body, { signal, ...terms } = {}) {
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null && value !== undefined));
  const [term] = Object.keys(terms);
  if (term !== undefined) throw notImplemented(term, "signal");
  checkNames(given);
  checkValues(given, lm.model);
  const control = new AbortController();
  const signals = signal === undefined ? control.signal : AbortSignal.any([signal, control.signal]);
  const generation = lm.chat(given["messages"].map(turn), { ...optionsOf(given), signal: signals });
  const reply = replyTo(given, lm.model);
  if (given["stream"] !== true) return completion(generation, reply);
  const first = await generation.next();
  return Object.assign(chunks(first, generation, reply), { controller: control });
}

/** @param {Record<string, any>} given */
function checkNames(given) {
  const neutral = (/** @type {string} */ name) => name.endsWith("_penalty") && given[name] === 0;
  const unknown = Object.keys(given).find((name) => !IMPLEMENTED.includes(name) && !neutral(name));
  if (unknown !== undefined) throw notImplemented(unknown);
}

/**
 * What the runtime does not see; all else it checks itself.
 * @param {Record<string, any>} given
 * @param {string | null} model
 */
function checkValues(given, model) {
  const { messages, n = 1, logprobs = false, top_logprobs, stream = false, stream_options } = given;
  const { max_tokens, max_completion_tokens = max_tokens } = given;
  if (!Array.isArray(messages)) throw outside("messages", messages, "a list of {role, content}");
  if (n !== 1) throw outside("n", n, "1: ask again, with another seed, for another answer");
  if (given["model"] !== undefined && model !== null && given["model"] !== model) throw outside("model", given["model"], `${model}, which is loaded`);
  if (typeof logprobs !== "boolean") throw outside("logprobs", logprobs, "true or false");
  if (top_logprobs !== undefined && !logprobs) throw outside("top_logprobs", top_logprobs, "left out where logprobs is not true");
  if (typeof stream !== "boolean") throw outside("stream", stream, "true or false");
  if (max_tokens !== undefined && max_tokens !== max_completion_tokens) {
    throw outside("max_tokens", max_tokens, "left out beside another max_completion_tokens");
  }
  if (stream_options === undefined) return;
  if (!stream) throw outside("stream_options", stream_options, "left out where stream is not true");
  const other = Object.keys(stream_options).find((name) => name !== "include_usage");
  if (other !== undefined) throw notImplemented(`stream_options.${other}`, "stream_options.include_usage");
  const { include_usage = false } = stream_options;
  if (typeof include_usage !== "boolean") throw outside("stream_options.include_usage", include_usage, "true or false");
}

/**
 * A message without fields that hold nothing: answers have such, and come back as messages.
 * @param {any} message
 * @param {number} index
 */
function turn(message, index) {
  if (typeof message !== "object" || message === null) return message;
  const { role, content, ...rest } = message;
  const extra = Object.keys(rest).find((name) => rest[name] !== null && rest[name] !== undefined);
  if (extra !== undefined) throw notImplemented(`messages[${index}].${extra}`, "content");
  return { role, content };
}

/** @param {Record<string, any>} given */
function optionsOf(given) {
  const { stop, logprobs = false, top_logprobs = 0, max_tokens, max_completion_tokens = max_tokens } = given;
  return {
    ...Object.fromEntries(SAMPLING.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]))),
    ...(max_completion_tokens === undefined ? {} : { max_tokens: max_completion_tokens }),
    ...(stop === undefined ? {} : { stop_strings: [stop].flat() }),
    ...(logprobs ? { top_logprobs } : {}),
  };
}

/**
 * @param {Record<string, any>} given
 * @param {string | null} model
 * @returns {Reply}
 */
function replyTo({ logprobs, stream_options }, model) {
  const id = `chatcmpl-${Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("")}`;
  const head = { id, created: Math.floor(Date.now() / 1000), model: model ?? "" };
  return { head, with_logprobs: logprobs === true, with_usage: stream_options?.include_usage === true };
}

/**
 * @param {Generation} generation
 * @param {Reply} reply
 * @returns {Promise<ChatCompletion>}
 */
async function completion(generation, { head, with_logprobs }) {
  /** @type {Token[]} */
  const tokens = [];
  for await (const token of generation) tokens.push(token);
  const result = await generation.result;
  const message = /** @type {const} */ ({ role: "assistant", content: result.text, refusal: null });
  const logprobs = with_logprobs ? logprobsOf(tokens) : null;
  return {
    ...head, object: "chat.completion",
    choices: [{ index: 0, message, logprobs, finish_reason: reasonOf(result) }], usage: usageOf(result),
  };
}

/**
 * The role, then a chunk for each token that has text, then the end.
 * @param {IteratorResult<Token, unknown>} first
 * @param {Generation} generation
 * @param {Reply} reply
 * @returns {AsyncGenerator<ChatCompletionChunk, void>}
 */
async function* chunks(first, generation, { head, with_logprobs, with_usage }) {
  const usage = with_usage ? { usage: null } : {};
  /**
   * @param {import("./openai.js").Delta} delta
   * @param {import("./openai.js").Logprobs | null} logprobs
   * @param {"stop" | "length" | null} finish_reason
   * @returns {ChatCompletionChunk}
   */
  const chunk = (delta, logprobs = null, finish_reason = null) => ({
    ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, logprobs, finish_reason }], ...usage,
  });
  let said_characters = 0;
  try {
    yield chunk({ role: "assistant", content: "" });
    for await (const token of since(first, generation)) {
      said_characters += token.text.length;
      const logprobs = with_logprobs ? logprobsOf([token]) : null;
      if (token.text !== "" || logprobs?.content.length) yield chunk({ content: token.text }, logprobs);
    }
    const result = await generation.result;
    const held_back = result.text.slice(said_characters);
    if (held_back !== "") yield chunk({ content: held_back });
    yield chunk({}, null, reasonOf(result));
    if (with_usage) yield { ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(result) };
  } finally {
    await generation.return?.(); // where the reader left at the first chunk, nothing else has
  }
}

/**
 * @param {IteratorResult<Token, unknown>} first
 * @param {Generation} generation
 */
async function* since(first, generation) {
  if (first.done !== true) yield first.value;
  yield* generation;
}

/**
 * Of all tokens that are text; special ones, such as the end, are not.
 * @param {Token[]} tokens
 * @returns {import("./openai.js").Logprobs}
 */
function logprobsOf(tokens) {
  const content = tokens.filter(({ bytes }) => bytes?.length).map(({ logprob, bytes = [], top = [] }) => ({
    token: UTF8.decode(Uint8Array.from(bytes)), logprob, bytes,
    top_logprobs: top.map((other) => ({ token: other.text, logprob: other.logprob, bytes: other.bytes })),
  }));
  return { content, refusal: null };
}

/**
 * A full context and a stop from elsewhere cut a text off as a limit does.
 * @param {Result} result
 */
function reasonOf({ finish_reason }) {
  return finish_reason === "stop" ? "stop" : "length";
}

/** @param {Result} result */
function usageOf({ figures }) {
  const [prompt_tokens, completion_tokens] = [Number(figures["prompt_tokens"]), Number(figures["generated_tokens"])];
  const prompt_tokens_details = { cached_tokens: Number(figures["reused_prompt_tokens"]) };
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, prompt_tokens_details };
}

/**
 * @param {string} name
 * @param {string | null} nearest
 */
function notImplemented(name, nearest = NEAREST[name] ?? nearestName(name)) {
  const advice = nearest === null ? `known are ${IMPLEMENTED.join(", ")}` : `the nearest that is: ${nearest}`;
  const message = `${name} is not implemented here; ${advice}. Leave it out.`;
  return new PageError("OptionNotImplemented", message, { option: name, nearest });
}

/**
 * The option that is spelt most alike, if one is.
 * @param {string} name
 */
function nearestName(name) {
  const pairs = (/** @type {string} */ text) => new Set(Array.from(text.slice(1), (_, i) => text.slice(i, i + 2)));
  const mine = pairs(name);
  const likeness = (/** @type {string} */ other) => {
    const theirs = pairs(other);
    return (2 * [...theirs].filter((pair) => mine.has(pair)).length) / (mine.size + theirs.size);
  };
  const best = IMPLEMENTED.reduce((one, other) => (likeness(other) > likeness(one) ? other : one));
  return likeness(best) > 0.5 ? best : null;
}

/**
 * @param {string} option
 * @param {unknown} found
 * @param {string} expected
 */
function outside(option, found, expected) {
  const shown = JSON.stringify(found) ?? String(found);
  return new PageError("OptionOutOfRange", `${option} is ${shown}; it has to be ${expected}.`, { option, found: shown, expected });
}
