// @ts-check
/**
 * The worker: Python, one session, and the loop that runs it. Everything between page and worker is one of these.
 *
 *   page -> worker   {id, method, params, data}      data: list of ArrayBuffers, transferred; together they are the bytes
 *   worker -> page   {id, result}                    one answer for each request, in any order
 *                    {id, error: {code, message, detail}}
 *                    {event: "alive", thread, lock}  the thread, 0 for the worker, holds this Web Lock until it dies
 *                    {event: "boot", phase, done_bytes, total_bytes}
 *                    {event: "verified"}             what Python starts from is what the runtime manifest names
 *                    {event: "accepted", request,    the prompt of request `request` fits; tokens follow. `prompt`
 *                     prompt}                        is its text where it came as a receipt's tokens
 *                    {event: "tokens", request, tokens: [{id, text, logprob, index}, ..]}
 *
 *   method       params                    data    result
 *   boot         {vendor, manifest, lock,          {boot_ms, boot_kind, pyodide, figures}
 *                 control, threads,
 *                 kv_cache, keeps}
 *   inspect                                header  {memory_bytes, file_bytes, family, quantization, context_length}
 *   load                                   file    figures
 *   assemble     {name, files, sha256,     files   figures
 *                 keep_as}
 *   keep                                           {kept}: how many files were put into the Cache API
 *   generate     {prompt, options}         prompt  {finish_reason, text, figures}, after its last token
 *   replay                                 receipt {finish_reason, text, figures, replay}, after its last token
 *   step                                           {id, text, logprob, index}
 *   tokenize     {prompt, bos}             prompt  {tokens: [{id, text, bytes}, ..]}
 *   detokenize   {ids}                             {text}
 *   stop                                           {stopped}: false if nothing ran
 *   reset                                          figures
 *   free                                           figures
 *   diagnostics                                    figures, by snake_case name
 *   validate_adapter {scale}               package {format, entries, package_bytes, scale, checksum}; nothing changes
 *   apply_adapter {scale}                  package figures; the context is gone
 *   detach_adapters                                figures; the context is gone
 *   calibrate    {seconds}                         {macs_per_second, macs_per_token}, of the loaded model's type
 *   network_rates {prompt_tokens,                  {prompt_tokens_per_second, decode_tokens_per_second}, of the network
 *                 tokens}                          alone; no context is left
 *
 * With the option `receipt` true, what generate answers has `receipt`, a text, besides; `replay` is the verdict on one.
 * A prompt is text among the params, or without it its UTF-8 as data; instead of it there can be `messages`, of a chat:
 * [{role, content}, ..]. `text` of a generation is what a stop found held back: the start of a character or of a stop
 * string. With `top_logprobs` among the options a token also has {bytes, top: [{id, text, bytes, logprob}, ..]}.
 * `control` is a SharedArrayBuffer of one i32, or null where the page can share no memory. The page sets it
 * to 1 beside a `stop` request: Python looks at it after every token, so a batch ends early and the request gets in.
 * Without it a batch is one token.
 * `files` of an entry are [component, bytes] in the order of `data`; the model follows them, one buffer, and the page has
 * found that its SHA-256 is `sha256`. With a label, `keep_as`, it waits in memory for `keep`, as does a snapshot of Python after a
 * plain start if the page `keeps`: it asks when nobody waits. The codes `RuntimeFailed` and `HelperLost` mean that the
 * worker must be thrown away.
 */

// Those that the modules below would ask for in their turn: a worker has no modulepreload.
import "./boot-progress.js";
import "./canonical.js";
import "./digest.js";
import "./interpreter.js";
import "./python.js";
import "./runtime-manifest.js";
import "./snapshot.js";
import "./snapshot-pages.js";
import "./trusted-script.js";
import { bootPython } from "./boot.js";
import { DerivedFacts } from "./derived.js";
import { startHelpers } from "./helpers.js";
import { keep } from "./kept.js";
import { PageError } from "./page-error.js";
import { release } from "./release.js";
import { Vendored } from "./vendored.js";

/**
 * @typedef {{id: number, method: string, params: Record<string, any>, data: ArrayBuffer[]}} Request
 * @typedef {import("./python.js").Python} Python
 */

const BATCH_MS = 50;
const POST_MS = 4;
const REHEARSALS = 25;

/** @type {Python | null} */
let python = null;
let booted = false;
let requests = 0;
let batch_ms = 0;
/** @type {(() => Promise<void>)[]} what a quiet moment is waited for to keep */
let unkept = [];
/** @type {DerivedFacts | null} null where the page keeps nothing */
let derivedFacts = null;

/** @type {Readonly<Record<string, (request: Request) => any>>} */
const METHODS = Object.freeze({
  boot: ({ params }) => boot(params),
  inspect: ({ params, data }) => withBytes(data, (header) => ask("inspect", params, header)),
  load: ({ params, data }) => withFile(data, (file) => ask("load", params, file)),
  assemble: ({ params, data }) => assemble(params, data),
  keep: () => keepAll(),
  generate: ({ id, params, data }) => generate(id, () => withBytes(data, (prompt) => ask("start", params, prompt))),
  replay: ({ id, data }) => generate(id, () => withBytes(data, (receipt) => ask("replay", {}, receipt))),
  tokenize: passOnBytes, detokenize: passOn,
  step: passOn, stop: passOn, reset: passOn, free: passOn, diagnostics: passOn, calibrate: passOn, network_rates: passOn,
  validate_adapter: passOnBytes, apply_adapter: passOnBytes, detach_adapters: passOn,
});

self.addEventListener("message", async (/** @type {MessageEvent<Request>} */ event) => {
  const { id, method } = event.data;
  requests += 1;
  try {
    const handle = METHODS[method];
    if (handle === undefined) throw new PageError("UnknownMethod", `The worker has no method ${method}.`);
    self.postMessage({ id, result: await handle(event.data) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof PageError ? error.failure : runtimeFailed(error) });
  }
});

/** @param {Request} request */
function passOn({ method, params }) {
  return ask(method, params);
}

/** @param {Request} request */
function passOnBytes({ method, params, data }) {
  return withBytes(data, (bytes) => ask(method, params, bytes));
}

/**
 * Python's answer to one request.
 * @param {string} method
 * @param {object} params
 * @param {import("./python.js").Given[]} data
 */
function ask(method, params, ...data) {
  const { result, error } = started().request(method, params, ...data);
  if (error !== undefined) throw PageError.from(error);
  return result;
}

function started() {
  if (python === null) throw new PageError("NotReady", "Python is not started. Send boot first.");
  return python;
}

/** @param {Record<string, any>} params */
async function boot({ vendor, manifest, lock, control, threads, kv_cache, keeps }) {
  if (booted) throw new PageError("Busy", "Python has been started in this worker. Start another worker.");
  booted = true;
  holdLock(lock);
  const flag = control === null ? null : new Int32Array(control);
  batch_ms = flag === null ? 0 : BATCH_MS;
  const stopRequested = () => flag !== null && Atomics.load(flag, 0) === 1;
  const helping = startHelpers(threads - 1, lock, onAlive);
  const callbacks = { emit, stopRequested, threads, kv_cache, helping, onProgress, onVerified };
  const starting = bootPython(new Vendored(vendor, manifest), keeps, callbacks);
  const [begun] = await Promise.all([starting, helping]); // a helper that fails is not waited for
  python = begun.python;
  const { vendor: digests, runtime_wheel } = manifest;
  if (keeps && globalThis.caches !== undefined) derivedFacts = new DerivedFacts(digests[runtime_wheel], threads, kv_cache);
  if (begun.keep !== null) unkept.push(begun.keep, rehearse);
  return { ...begun.facts, figures: ask("diagnostics", {}) };
}

/**
 * An entry of the registry from its files: in `data` one buffer for each of `files`, then the model, whose digest the
 * page has compared. With a label it is kept later.
 * @param {Record<string, any>} params
 * @param {ArrayBuffer[]} data
 */
async function assemble({ name, files, sha256, keep_as }, data) {
  const [evidence, rest] = [data.slice(0, files.length), data.slice(files.length)];
  const known = await derivedFacts?.find(sha256) ?? null;
  return withBytes(evidence, (bytes) => withFile(rest, (file) => {
    const attempt = (/** @type {object | null} */ derived) => (
      ask("assemble", { name, sha256, files, derived }, bytes, file));
    const figures = assembled(known, attempt, () => keepDerived(sha256, `${name}, compiled`));
    if (keep_as !== undefined) {
      const kept = rest.splice(0);
      unkept.push(() => keepModel(sha256, keep_as, kept));
    }
    return figures;
  }));
}

/**
 * With what is `known` of a model from an earlier visit; where that fails, as if nothing were.
 * @template T
 * @param {string | null} known as JSON
 * @param {(derived: object | null) => T} attempt
 * @param {() => Promise<void>} keepWhatIsFound
 */
function assembled(known, attempt, keepWhatIsFound) {
  if (known !== null) {
    try {
      return attempt(JSON.parse(known));
    } catch {
      // Whatever it was, nothing needs it.
    }
  }
  const figures = attempt(null);
  if (derivedFacts !== null) unkept.push(keepWhatIsFound);
  return figures;
}

/**
 * @param {ArrayBuffer[]} data one buffer, which is given back unless `use` takes it out
 * @param {(file: import("./python.js").Given) => any} use
 */
function withFile(data, use) {
  const file = started().fileOf(data[0] ?? new ArrayBuffer(0));
  try {
    return use(file);
  } finally {
    file.free();
    release(...data);
  }
}

/**
 * @param {ArrayBuffer[]} data
 * @param {(bytes: import("./python.js").PythonBytes) => any} use
 */
async function withBytes(data, use) {
  const bytes = started().bytesOf(data);
  try {
    return await use(bytes);
  } finally {
    bytes.free();
  }
}

/**
 * @param {string} sha256
 * @param {string} label
 * @param {ArrayBuffer[]} data
 */
function keepModel(sha256, label, data) {
  const body = new Blob(data);
  release(...data);
  return keep({ name: `model/${sha256}`, label, bytes: body.size, sha256 }, body);
}

/**
 * @param {string} sha256 of a model that was assembled; by now there may be another one
 * @param {string} label
 */
async function keepDerived(sha256, label) {
  const found = ask("derive", {});
  if (found.sha256 === sha256) await derivedFacts?.keep(sha256, label, found.derived);
}

async function keepAll() {
  const waiting = unkept;
  unkept = [];
  for (const keepOne of waiting) await keepOne();
  return { kept: waiting.length };
}

/**
 * The browser keeps compiled code of Python's from visit to visit, and of that the fast code only of what has been busy.
 * So what a load does most of is done a few times more, until somebody asks for something.
 */
async function rehearse() {
  const before = requests;
  for (let n = 0; n < REHEARSALS && requests === before; n++) {
    await nextTask();
    if (!ask("rehearse", {}).rehearsed) return;
  }
}

let generating = 0;

/**
 * Runs one generation in batches, giving messages a turn between them.
 * @param {number} id
 * @param {() => Promise<{prompt?: string}>} start
 */
async function generate(id, start) {
  const { prompt } = await start();
  generating = id;
  self.postMessage({ event: "accepted", request: id, prompt });
  for (;;) {
    await nextTask();
    const progress = advance();
    if (progress.finished) return progress;
  }
}

function advance() {
  try {
    return ask("advance", { budget_ms: batch_ms });
  } finally {
    postTokens();
  }
}

/** @type {import("./client.js").Token[]} */
let unposted = [];
let posted_at = 0;

/**
 * Called by Python for every token of a generation, as soon as it is chosen. A message costs both its ends more than a
 * token does, so tokens of the same four milliseconds share one; the first goes out alone.
 * @param {number} id
 * @param {string} text
 * @param {number} logprob
 * @param {number} index
 * @param {string} [details] as JSON, where the options ask for them
 */
function emit(id, text, logprob, index, details) {
  const token = { id, text, logprob, index };
  unposted.push(details === undefined ? token : { ...token, ...JSON.parse(details) });
  if (performance.now() - posted_at >= POST_MS) postTokens();
}

function postTokens() {
  if (unposted.length === 0) return;
  self.postMessage({ event: "tokens", request: generating, tokens: unposted });
  unposted = [];
  posted_at = performance.now();
}

/** @type {import("./boot-progress.js").OnProgress} */
function onProgress(progress) {
  self.postMessage({ event: "boot", ...progress });
}

function onVerified() {
  self.postMessage({ event: "verified" });
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
    onAlive(0, lock);
    return new Promise(() => undefined);
  });
}

/**
 * @param {number} thread 0 is this worker
 * @param {string} lock
 */
function onAlive(thread, lock) {
  self.postMessage({ event: "alive", thread, lock });
}

/** @param {unknown} error */
function runtimeFailed(error) {
  const message = error instanceof Error ? error.message : String(error);
  return { code: "RuntimeFailed", message: `The runtime failed: ${message}`, detail: {} };
}
