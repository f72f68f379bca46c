// @ts-check
// Starts Python in the worker, all from the page's own origin: from the snapshot of an earlier visit, else from the one
// that the server has, or plainly where there is none or anything is wrong with it. What was not started from this
// device leaves a snapshot to be kept there when nobody waits.

import { countFetches } from "./boot-progress.js";
import { importRuntime, startFrom, startPlainly } from "./interpreter.js";
import { findKept, forget } from "./kept.js";
import { PageError } from "./page-error.js";
import { Python } from "./python.js";
import { release } from "./release.js";
import { keepMemory, keepSnapshot, readKept, readServed, snapshotName } from "./snapshot.js";

/** @typedef {import("./vendored.js").Vendored} Vendored */

/**
 * @typedef {import("./interpreter.js").Pyodide} Pyodide
 * @typedef {(module: WebAssembly.Module, memory: WebAssembly.Memory) => void} Help
 * @typedef {{
 *   onProgress: import("./boot-progress.js").OnProgress,
 *   onVerified: () => void,
 *   emit: (id: number, text: string, logprob: number, index: number, details?: string) => void,
 *   stopRequested: () => boolean,
 *   threads: number,
 *   kv_cache: string,
 *   helping: Promise<Help>,
 * }} Callbacks
 * @typedef {{pyodide: Pyodide, app: any, OutsideFile: any, boot_kind: "snapshot" | "served" | "plain",
 *   keep: (() => Promise<void>) | null}} Started
 */

/**
 * @param {Vendored} vendored
 * @param {boolean} keeps whether the start is to leave a snapshot, which takes memory until it is kept
 * @param {Callbacks} callbacks
 * @throws {PageError} ManifestDrift: the files that Python starts from are not those of the manifest
 */
export async function bootPython(vendored, keeps, callbacks) {
  const started = performance.now();
  const name = globalThis.caches === undefined ? null : await snapshotName(vendored.digests);
  const { pyodide, app, OutsideFile, boot_kind, keep } = await ofTheManifest(vendored, async () => (
    await fromKept(vendored, name, callbacks) ?? await fromServed(vendored, keeps ? name : null, callbacks) ??
      plain(vendored, keeps ? name : null, callbacks)
  ));
  const facts = { boot_ms: performance.now() - started, boot_kind, pyodide: pyodide.version };
  return { python: new Python(pyodide, app, OutsideFile), keep, facts };
}

/**
 * What `start` gives, if all files that it used are the manifest's; where they are not, that is why it failed.
 * @template T
 * @param {Vendored} vendored
 * @param {() => Promise<T>} start
 */
async function ofTheManifest(vendored, start) {
  const [outcome] = await Promise.allSettled([start()]);
  await vendored.agreed();
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/**
 * @param {Vendored} vendored
 * @param {string | null} name
 * @param {Callbacks} callbacks
 * @returns {Promise<Started | null>} null, with nothing kept, if there is no snapshot that starts
 */
async function fromKept(vendored, name, callbacks) {
  const kept = name === null ? undefined : await findKept(name);
  if (name === null || kept === undefined) return null;
  const started = await fromSnapshot(vendored, readKept(kept), "snapshot", callbacks);
  if (started === null) await forget(name);
  return started;
}

/**
 * @param {Vendored} vendored
 * @param {string | null} name of the snapshot to leave
 * @param {Callbacks} callbacks
 * @returns {Promise<Started | null>} null if the server has no snapshot that starts
 */
async function fromServed(vendored, name, callbacks) {
  const { snapshot } = vendored;
  if (snapshot === null || globalThis.DecompressionStream === undefined) return null;
  const served = () => vendored.fetch(snapshot).then(readServed);
  const fetches = countFetches(callbacks.onProgress);
  try {
    const started = await fromSnapshot(vendored, served(), "served", callbacks);
    return started === null || name === null ? started : { ...started, keep: () => keepServed(name, served, vendored) };
  } finally {
    fetches.stop();
  }
}

/**
 * Out of the browser's cache once more, so that nothing has to lie in memory until then. Where it does not come, the
 * server being gone by now, it is left to a later visit.
 * @param {string} name
 * @param {() => Promise<ArrayBuffer>} served
 * @param {Vendored} vendored
 */
async function keepServed(name, served, vendored) {
  const bytes = await served().catch(() => null);
  if (bytes === null) return;
  await vendored.agreed();
  await keepSnapshot(name, bytes);
}

/**
 * @param {Vendored} vendored
 * @param {Promise<ArrayBuffer>} snapshot
 * @param {"snapshot" | "served"} boot_kind
 * @param {Callbacks} callbacks
 * @returns {Promise<Started | null>} null if it does not start
 */
async function fromSnapshot(vendored, snapshot, boot_kind, callbacks) {
  try {
    const pyodide = await startFrom(vendored, snapshot, callbacks.onVerified);
    release(await snapshot); // the options of its start stay with Pyodide
    return { pyodide, ...await createApp(pyodide, callbacks), boot_kind, keep: null };
  } catch (error) {
    if (error instanceof PageError) throw error; // of a file, not of the snapshot
    return null; // whatever it was, a plain start needs none of it
  }
}

/**
 * @param {Vendored} vendored
 * @param {string | null} name of the snapshot to leave
 * @param {Callbacks} callbacks
 * @returns {Promise<Started>}
 */
async function plain(vendored, name, callbacks) {
  const fetches = countFetches(callbacks.onProgress);
  const { pyodide, memory } = await startPlainly(vendored, name !== null, callbacks.onVerified);
  fetches.stop();
  const keep = name === null || memory === null ? null : () => keepMemory(name, memory);
  return { pyodide, ...await createApp(pyodide, callbacks), boot_kind: "plain", keep };
}

/**
 * @param {Pyodide} pyodide
 * @param {Callbacks} callbacks
 */
async function createApp(pyodide, { emit, stopRequested, threads, kv_cache, helping }) {
  const { app, browser } = importRuntime(pyodide);
  browser.js = self; // after a start that can be snapshotted, a proxy stands there on which the browser's getters fail
  const host = browser.BrowserHost(threads, await helping);
  const made = app.App.callKwargs(host, { emit, stop_requested: stopRequested, kv_cache });
  return { app: made, OutsideFile: browser.OutsideFile };
}
