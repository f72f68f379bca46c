// @ts-check
// Starts Python in the worker: Pyodide, micropip, the runtime wheel, all from the page's own origin.

/**
 * @typedef {{
 *   emit: (id: number, text: string, logprob: number, index: number) => void,
 *   stopRequested: () => boolean,
 *   onProgress: (phase: string, done_bytes: number, total_bytes: number) => void,
 *   threads: number,
 *   help: (module: WebAssembly.Module, memory: WebAssembly.Memory) => void,
 * }} Callbacks
 * @typedef {{runtime_wheel: string, micropip_wheel: string}} VendorManifest
 * @typedef {(method: string, params: string, data?: ArrayBuffer) => any} PythonRequest
 */

/**
 * @param {string} vendor address of the folder of vendored files, with a slash at its end
 * @param {Callbacks} callbacks
 */
export async function bootPython(vendor, { emit, stopRequested, onProgress, threads, help }) {
  const started = performance.now();
  const fetches = countFetches(onProgress);
  const wheels = await readManifest(vendor);
  const pyodide = await startPyodide(vendor, wheels.micropip_wheel);
  fetches.phase = "Runtime";
  await install(pyodide, vendor + wheels.runtime_wheel);
  fetches.stop();
  const app = pyodide.pyimport("tinypylm.app").App.callKwargs(
    pyodide.pyimport("tinypylm.hosts.browser").BrowserHost(threads, help), { emit, stop_requested: stopRequested },
  );
  return { request: requester(pyodide, app), boot_ms: performance.now() - started, pyodide: pyodide.version };
}

/**
 * @param {string} vendor
 * @returns {Promise<VendorManifest>}
 */
async function readManifest(vendor) {
  const response = await fetch(`${vendor}manifest.json`);
  if (!response.ok) throw new Error(`${response.url} was answered with status ${response.status}; run serve.py again`);
  return response.json();
}

/**
 * @param {string} vendor
 * @param {string} micropip_wheel
 */
async function startPyodide(vendor, micropip_wheel) {
  const { loadPyodide } = await import(`${vendor}pyodide/pyodide.mjs`);
  return loadPyodide({ indexURL: `${vendor}pyodide/`, packages: [vendor + micropip_wheel] });
}

/**
 * deps=False: the runtime needs the standard library only, and micropip must ask no index for anything.
 * @param {any} pyodide
 * @param {string} wheel
 */
async function install(pyodide, wheel) {
  const micropip = pyodide.pyimport("micropip");
  await micropip.install.callKwargs(wheel, { deps: false });
  micropip.destroy();
}

/**
 * Python's door as a function of JSON; nothing that Python owns is left behind by a call.
 * @param {any} pyodide
 * @param {any} app
 * @returns {PythonRequest}
 */
function requester(pyodide, app) {
  const door = app.request;
  return (method, params, data) => {
    if (data === undefined) return JSON.parse(door(method, params));
    const bytes = pyodide.toPy(new Uint8Array(data));
    try {
      return JSON.parse(door(method, params, bytes));
    } finally {
      bytes.destroy();
    }
  };
}

/**
 * Reports the bytes of every fetch from now on. A clone is counted, and the caller gets the browser's own response:
 * a rebuilt one would lose its address and the browser's cache of compiled code.
 * @param {Callbacks["onProgress"]} onProgress
 */
function countFetches(onProgress) {
  const browserFetch = self.fetch;
  const progress = { phase: "Interpreter", done_bytes: 0, total_bytes: 0, stop: () => void (self.fetch = browserFetch) };
  self.fetch = async (input, init) => {
    const response = await browserFetch(input, init);
    progress.total_bytes += Number(response.headers.get("Content-Length") ?? 0);
    const add = (/** @type {number} */ bytes) => {
      progress.done_bytes += bytes;
      onProgress(progress.phase, progress.done_bytes, progress.total_bytes);
    };
    count(response.clone(), add).catch(() => undefined); // who reads the response itself meets the same failure
    return response;
  };
  return progress;
}

/**
 * @param {Response} response
 * @param {(bytes: number) => void} add
 */
async function count(response, add) {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (let part = await reader.read(); !part.done; part = await reader.read()) add(part.value.length);
}
