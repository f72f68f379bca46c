// @ts-check
// Starts Python in the worker, all from the page's own origin: from the snapshot of an earlier visit, or plainly where
// there is none or anything is wrong with it. A plain start leaves a snapshot to be kept when nobody waits.

import { countFetches } from "./boot-progress.js";
import { fetchFile, importRuntime, startFrom, startPlainly } from "./interpreter.js";
import { findKept, forget } from "./kept.js";
import { Python } from "./python.js";
import { release } from "./release.js";
import { keepSnapshot, readSnapshot, snapshotName } from "./snapshot.js";

/**
 * @typedef {import("./interpreter.js").Pyodide} Pyodide
 * @typedef {(module: WebAssembly.Module, memory: WebAssembly.Memory) => void} Help
 * @typedef {{
 *   emit: (id: number, text: string, logprob: number, index: number) => void,
 *   stopRequested: () => boolean,
 *   threads: number,
 *   kv_cache: string,
 *   helping: Promise<Help>,
 * }} Callbacks
 * @typedef {{runtime_wheel: string, files: Record<string, string>}} Manifest SHA-256 of each file by its path
 * @typedef {{pyodide: Pyodide, app: any, boot_kind: "snapshot" | "plain", keep: (() => Promise<void>) | null}} Started
 */

/**
 * @param {string} vendor address of the folder of vendored files, with a slash at its end
 * @param {boolean} keeps whether a plain start is to leave a snapshot, which takes memory until it is kept
 * @param {Callbacks} callbacks
 * @param {import("./boot-progress.js").OnProgress} onProgress
 */
export async function bootPython(vendor, keeps, callbacks, onProgress) {
  const started = performance.now();
  /** @type {Manifest} */
  const manifest = await (await fetchFile(`${vendor}manifest.json`)).json();
  const name = globalThis.caches === undefined ? null : await snapshotName(manifest.files);
  const { pyodide, app, boot_kind, keep } = await fromSnapshot(vendor, name, callbacks)
    ?? await plain(vendor, manifest.runtime_wheel, keeps ? name : null, callbacks, onProgress);
  const facts = { boot_ms: performance.now() - started, boot_kind, pyodide: pyodide.version };
  return { python: new Python(pyodide, app), keep, facts };
}

/**
 * @param {string} vendor
 * @param {string | null} name
 * @param {Callbacks} callbacks
 * @returns {Promise<Started | null>} null, with nothing kept, if there is no snapshot that starts
 */
async function fromSnapshot(vendor, name, callbacks) {
  if (name === null) return null;
  const kept = await findKept(name);
  if (kept === undefined) return null;
  try {
    const memory = readSnapshot(kept);
    const pyodide = await startFrom(vendor, memory);
    release((await memory).buffer); // the options of its start stay with Pyodide
    return { pyodide, app: await createApp(pyodide, callbacks), boot_kind: "snapshot", keep: null };
  } catch {
    await forget(name); // whatever it was, a plain start needs none of it
    return null;
  }
}

/**
 * @param {string} vendor
 * @param {string} wheel
 * @param {string | null} name of the snapshot to leave
 * @param {Callbacks} callbacks
 * @param {import("./boot-progress.js").OnProgress} onProgress
 * @returns {Promise<Started>}
 */
async function plain(vendor, wheel, name, callbacks, onProgress) {
  const fetches = countFetches(onProgress);
  const { pyodide, memory } = await startPlainly(vendor, wheel, name !== null);
  fetches.stop();
  const keep = name === null || memory === null ? null : () => keepSnapshot(name, memory);
  return { pyodide, app: await createApp(pyodide, callbacks), boot_kind: "plain", keep };
}

/**
 * @param {Pyodide} pyodide
 * @param {Callbacks} callbacks
 */
async function createApp(pyodide, { emit, stopRequested, threads, kv_cache, helping }) {
  const { app, browser } = importRuntime(pyodide);
  browser.js = self; // after a start that can be snapshotted, a proxy stands there on which the browser's getters fail
  const host = browser.BrowserHost(threads, await helping);
  return app.App.callKwargs(host, { emit, stop_requested: stopRequested, kv_cache });
}
