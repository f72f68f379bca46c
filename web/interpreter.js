// @ts-check
// Pyodide with the runtime imported, started plainly or from a snapshot. The only place that knows its private names
// (_makeSnapshot, makeMemorySnapshot, _loadSnapshot): vendor.lock pins the version that has them.

/** @typedef {any} Pyodide it comes without types */
/** @typedef {Uint8Array<ArrayBuffer>} Memory */

const HOME = "/home/pyodide";
const INTERPRETER = "pyodide.asm.wasm";
const FILES = Object.freeze([INTERPRETER, "python_stdlib.zip", "pyodide-lock.json"]);

/**
 * Python as it starts anywhere, and its memory for the next visit where that is `wanted` and can be had.
 * @param {string} vendor address of the folder of vendored files, with a slash at its end
 * @param {string} wheel
 * @param {boolean} wanted
 * @returns {Promise<{pyodide: Pyodide, memory: Memory | null}>}
 */
export async function startPlainly(vendor, wheel, wanted) {
  const path = `/lib/${wheel}`;
  const bytes = fetchFile(vendor + wheel).then((response) => response.arrayBuffer());
  // Python imports from a zip, and a wheel of sources is one: nothing has to be installed.
  const fsInit = async (/** @type {any} */ files) => files.writeFile(path, new Uint8Array(await bytes));
  const env = { HOME, PYTHONPATH: path };
  const [pyodide] = await Promise.all([load(vendor, { env, fsInit, _makeSnapshot: wanted }), bytes]);
  importRuntime(pyodide);
  return { pyodide, memory: wanted ? memoryOf(pyodide) : null };
}

/**
 * Python as it was when `memory` was taken: the runtime is imported, its files are not there.
 * @param {string} vendor
 * @param {Promise<Memory>} memory
 * @returns {Promise<Pyodide>}
 */
export function startFrom(vendor, memory) {
  memory.catch(() => undefined); // Pyodide is not yet waiting for it; it will meet the failure when it does
  return load(vendor, { env: { HOME }, _loadSnapshot: memory });
}

/**
 * The modules that the page calls. All others are imported by them, so that a snapshot needs no files.
 * @param {Pyodide} pyodide
 */
export function importRuntime(pyodide) {
  return { app: pyodide.pyimport("tinypylm.app"), browser: pyodide.pyimport("tinypylm.hosts.browser") };
}

/**
 * @param {string} vendor
 * @param {object} options of loadPyodide
 */
async function load(vendor, options) {
  const indexURL = `${vendor}pyodide/`;
  const early = fetchEarly(indexURL);
  try {
    const [{ loadPyodide }] = await Promise.all([import(`${indexURL}pyodide.mjs`), import(`${indexURL}pyodide.asm.mjs`)]);
    return await Promise.race([loadPyodide({ indexURL, ...options }), early.failure]);
  } finally {
    early.end();
  }
}

/**
 * Fetches Pyodide's files at once and compiles the interpreter while the rest comes in: Pyodide by itself goes step
 * by step, and last of all waits for the snapshot. Its own fetches and compilation get what is there already.
 * `failure` rejects where it would wait for ever.
 * @param {string} folder
 */
function fetchEarly(folder) {
  const { fetch } = self;
  const { instantiateStreaming } = WebAssembly;
  const responses = new Map(FILES.map((name) => [folder + name, fetchFile(folder + name)]));
  const compiled = WebAssembly.compileStreaming(/** @type {Promise<Response>} */ (responses.get(folder + INTERPRETER)));
  const failure = Promise.all([compiled, ...responses.values()]).then(() => new Promise(() => undefined));
  failure.catch(() => undefined); // nobody waits for it yet, nor any more if something else fails first
  self.fetch = (input, init) => responses.get(String(input)) ?? fetch(input, init);
  WebAssembly.instantiateStreaming = async (_, imports) => {
    const module = await compiled;
    return { module, instance: await WebAssembly.instantiate(module, imports) };
  };
  return {
    failure,
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

/** @param {string} url */
export async function fetchFile(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} was answered with status ${response.status}; run serve.py again`);
  return response;
}
