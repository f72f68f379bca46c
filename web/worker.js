// @ts-check
/**
 * The worker: Python, one session, and the loop that runs it. Everything between page and worker is one of these.
 *
 *   page -> worker   {id, method, params, data}      data: bytes of a model, transferred; undefined for most
 *   worker -> page   {id, result}                    one answer for each request, in any order
 *                    {id, error: {code, message, detail}}
 *                    {event: "alive", lock}          the worker holds this Web Lock until it dies
 *                    {event: "boot", phase, done_bytes, total_bytes}
 *                    {event: "accepted", request}    the prompt of request `request` fits; tokens follow
 *                    {event: "token", request, token: {id, text, logprob, index}}
 *
 *   method       params                    data    result
 *   boot         {vendor, lock, control, threads}  {boot_ms, pyodide}
 *   inspect                                header  {memory_bytes, file_bytes, family, quantization, context_length}
 *   load                                   file    figures
 *   generate     {prompt, options}                 {finish_reason, text, figures}, after its last token
 *   step                                           {id, text, logprob, index}
 *   stop                                           {stopped}: false if nothing ran
 *   reset                                          figures
 *   free                                           figures
 *   diagnostics                                    figures, by snake_case name
 *   calibrate    {seconds}                         {macs_per_second, macs_per_token}, of the loaded model's type
 *
 * `text` of a generation is what a stop found held back: the start of a character or of a stop string.
 * `control` is a SharedArrayBuffer of one i32, or null where the page is not cross-origin isolated. The page sets it
 * to 1 beside a `stop` request: Python looks at it after every token, so a batch ends early and the request gets in.
 * Without it a batch is one token. Code `RuntimeFailed` means that the worker must be thrown away.
 */

import { bootPython } from "./boot.js";
import { startHelpers } from "./helpers.js";

/**
 * @typedef {{id: number, method: string, params: Record<string, any>, data?: ArrayBuffer}} Request
 * @typedef {import("./page-error.js").Failure} Failure
 */

const BATCH_MS = 16;

/** @type {(method: string, params: object, data?: ArrayBuffer) => any} Python's answer to one request */
let ask = () => {
  throw new Refusal({ code: "NotReady", message: "Python is not started. Send boot first." });
};
let batch_ms = 0;

/** @type {Readonly<Record<string, (request: Request) => any>>} */
const METHODS = Object.freeze({
  boot: ({ params }) => boot(params),
  generate: ({ id, params }) => generate(id, params),
  inspect: passOn, load: passOn, step: passOn, stop: passOn, reset: passOn, free: passOn, diagnostics: passOn,
  calibrate: passOn,
});

class Refusal extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.message);
    this.failure = failure;
  }
}

self.addEventListener("message", async (/** @type {MessageEvent<Request>} */ event) => {
  const { id, method } = event.data;
  try {
    const handle = METHODS[method];
    if (handle === undefined) throw new Refusal({ code: "UnknownMethod", message: `The worker has no method ${method}.` });
    self.postMessage({ id, result: await handle(event.data) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Refusal ? error.failure : runtimeFailed(error) });
  }
});

/** @param {Request} request */
function passOn({ method, params, data }) {
  return ask(method, params, data);
}

/** @param {Record<string, any>} params */
async function boot({ vendor, lock, control, threads }) {
  holdLock(lock);
  const flag = control === null ? null : new Int32Array(control);
  batch_ms = flag === null ? 0 : BATCH_MS;
  const stopRequested = () => flag !== null && Atomics.load(flag, 0) === 1;
  const help = await startHelpers(threads - 1);
  const { request, ...facts } = await bootPython(vendor, { emit, stopRequested, onProgress, threads, help });
  ask = (method, params, data) => {
    const answer = request(method, JSON.stringify(params), data);
    if (answer.error !== undefined) throw new Refusal(answer.error);
    return answer.result;
  };
  return facts;
}

let generating = 0;

/**
 * Runs one generation in batches, giving messages a turn between them.
 * @param {number} id
 * @param {object} params
 */
async function generate(id, params) {
  ask("start", params);
  generating = id;
  self.postMessage({ event: "accepted", request: id });
  for (;;) {
    await nextTask();
    const progress = ask("advance", { budget_ms: batch_ms });
    if (progress.finished) return progress;
  }
}

/**
 * Called by Python for every token of a generation, as soon as it is chosen.
 * @param {number} id
 * @param {string} text
 * @param {number} logprob
 * @param {number} index
 */
function emit(id, text, logprob, index) {
  self.postMessage({ event: "token", request: generating, token: { id, text, logprob, index } });
}

/**
 * @param {string} phase
 * @param {number} done_bytes
 * @param {number} total_bytes
 */
function onProgress(phase, done_bytes, total_bytes) {
  self.postMessage({ event: "boot", phase, done_bytes, total_bytes });
}

const turns = new MessageChannel();
turns.port1.start();

/** Resolves in a later task, so that messages of the page come first; setTimeout would be held back to 4 ms. */
function nextTask() {
  return new Promise((resolve) => {
    turns.port1.addEventListener("message", resolve, { once: true });
    turns.port2.postMessage(null);
  });
}

/**
 * A worker that is closed or killed fires no event, but its locks are released: the page waits for this one.
 * @param {string} lock
 */
function holdLock(lock) {
  navigator.locks?.request(lock, () => {
    self.postMessage({ event: "alive", lock });
    return new Promise(() => undefined);
  });
}

/** @param {unknown} error */
function runtimeFailed(error) {
  const message = error instanceof Error ? error.message : String(error);
  return { code: "RuntimeFailed", message: `The runtime failed: ${message}`, detail: {} };
}
