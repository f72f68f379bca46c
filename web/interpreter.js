// @ts-check
// Pyodide with the runtime imported, started plainly or from a snapshot. The only place that knows its private names
// (_makeSnapshot, makeMemorySnapshot, _loadSnapshot): vendor.lock pins the version that has them.

import { onDemand } from "./snapshot-pages.js";

/** @typedef {any} Pyodide it comes without types */
/** @typedef {Uint8Array<ArrayBuffer>} Memory */
/** @typedef {import("./vendored.js").Vendored} Vendored */

const HOME = "/home/pyodide";
const FOLDER = "pyodide/";
const INTERPRETER = "pyodide.asm.wasm";
const MODULES = Object.freeze(["pyodide.mjs", "pyodide.asm.mjs"]);
const LIBRARY = "python_stdlib.zip";
const FILES = Object.freeze([INTERPRETER, "pyodide-lock.json"]);
const EMPTY_ZIP = new Uint8Array(22);
EMPTY_ZIP.set([0x50, 0x4b, 5, 6]); // the end record of no entries (APPNOTE 4.3.16)

/**
 * Python as it starts anywhere, and its memory for the next visit where that is `wanted` and can be had.
 * @param {Vendored} vendored
 * @param {boolean} wanted
 * @param {() => void} onVerified called when every file that it starts from was found to be the manifest's
 * @returns {Promise<{pyodide: Pyodide, memory: Memory | null}>}
 */
export async function startPlainly(vendored, wanted, onVerified) {
  const path = `/lib/${vendored.runtime_wheel}`;
  const bytes = vendored.fetch(vendored.runtime_wheel).then((response) => response.arrayBuffer());
  // Python imports from a zip, and a wheel of sources is one: nothing has to be installed.
  const fsInit = async (/** @type {any} */ files) => files.writeFile(path, new Uint8Array(await bytes));
  const options = { env: { HOME, PYTHONPATH: path }, fsInit, _makeSnapshot: wanted };
  const library = vendored.fetch(FOLDER + LIBRARY);
  const [pyodide] = await Promise.all([load(vendored, library, bytes, onVerified, () => options), bytes]);
  importRuntime(pyodide);
  return { pyodide, memory: wanted ? memoryOf(pyodide) : null };
}

/**
 * Python as it was when `snapshot` was taken: the runtime is imported, with what it needs of Python's library, and the
 * files of neither are there.
 * @param {Vendored} vendored
 * @param {Promise<ArrayBuffer>} snapshot packed
 * @param {() => void} onVerified as above; `snapshot` was found to be what was made or kept, too
 * @returns {Promise<Pyodide>}
 */
export function startFrom(vendored, snapshot, onVerified) {
  const library = Promise.resolve(new Response(EMPTY_ZIP)); // what is not imported by now is not needed
  return load(vendored, library, snapshot, onVerified, (verified, heap) => {
    const _loadSnapshot = verified.then(() => snapshot).then((packed) => onDemand(packed, heap));
    _loadSnapshot.catch(() => undefined); // Pyodide is not yet waiting for it; it will meet the failure when it does
    return { env: { HOME }, _loadSnapshot };
  });
}

/**
 * The modules that the page calls. All others are imported by them, so that a snapshot needs no files.
 * @param {Pyodide} pyodide
 */
export function importRuntime(pyodide) {
  return { app: pyodide.pyimport("tinypylm.app"), browser: pyodide.pyimport("tinypylm.hosts.browser") };
}

/**
 * Python runs when its files were verified; from a snapshot, when that was verified too. Once it runs, nothing else does
 * in this worker for a while: then nobody could be told that a model may be asked for.
 * @param {Vendored} vendored
 * @param {Promise<Response>} library Python's own
 * @param {Promise<unknown>} rest what is fetched besides
 * @param {() => void} onVerified
 * @param {(verified: Promise<void>, heap: () => Memory) => object} options of loadPyodide
 */
async function load(vendored, library, rest, onVerified, options) {
  const modules = Promise.all(MODULES.map((name) => vendored.import(FOLDER + name)));
  const early = fetchEarly(vendored, library, modules, () => started);
  const verified = Promise.all([early.verified, rest]).then(() => vendored.agreed()).then(onVerified);
  const failure = verified.then(() => new Promise(() => undefined));
  const all_options = { indexURL: vendored.url(FOLDER), ...options(verified, early.heap) };
  const started = "_loadSnapshot" in all_options ? Promise.resolve() : verified; // a snapshot waits by itself
  failure.catch(() => undefined); // nobody waits for it yet, nor any more if something else fails first
  try {
    const [{ loadPyodide }] = await modules;
    return await Promise.race([loadPyodide(all_options), failure]);
  } finally {
    early.end();
  }
}

/**
 * Fetches Pyodide's files at once and compiles the interpreter while the rest comes in: Pyodide by itself goes step
 * by step, and last of all waits for the snapshot. Its own fetches and compilation get what is there already.
 * `verified` rejects where it would wait for ever.
 * @param {Vendored} vendored
 * @param {Promise<Response>} library
 * @param {Promise<unknown>} modules
 * @param {() => Promise<void>} mayRun what the interpreter waits for once it is compiled
 */
function fetchEarly(vendored, library, modules, mayRun) {
  const { fetch } = self;
  const { instantiateStreaming } = WebAssembly;
  const responses = new Map(FILES.map((name) => [vendored.url(FOLDER + name), vendored.fetch(FOLDER + name)]));
  responses.set(vendored.url(FOLDER + LIBRARY), library);
  const interpreter = /** @type {Promise<Response>} */ (responses.get(vendored.url(FOLDER + INTERPRETER)));
  const compiled = WebAssembly.compileStreaming(interpreter);
  /** @type {WebAssembly.Memory} */
  let memory;
  const verified = Promise.all([modules, compiled, ...responses.values()]).then(() => vendored.agreed());
  self.fetch = (input, init) => responses.get(String(input)) ?? fetch(input, init);
  WebAssembly.instantiateStreaming = async (_, imports) => {
    const [module] = await Promise.all([compiled, mayRun()]);
    const instance = await WebAssembly.instantiate(module, imports);
    memory = /** @type {WebAssembly.Memory} */ (instance.exports["memory"]);
    return { module, instance };
  };
  return {
    verified,
    heap: () => new Uint8Array(/** @type {ArrayBuffer} */ (memory.buffer)),
    end() {
      self.fetch = fetch;
      WebAssembly.instantiateStreaming = instantiateStreaming;
    },
  };
}

/**
 * @param {Pyodide} pyodide
 * @returns {Memory | null}
 */
function memoryOf(pyodide) {
  try {
    return pyodide.makeMemorySnapshot();
  } catch {
    return null; // it refuses what it cannot restore; the next visit then starts plainly too
  }
}
