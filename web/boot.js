// @ts-check
// Starts Python in the worker, all from the page's own origin: from the snapshot of an earlier visit, or plainly where
// there is none or anything is wrong with it. A plain start leaves a snapshot to be kept when nobody waits.

import { countFetches } from "./boot-progress.js";
import { importRuntime, startFrom, startPlainly } from "./interpreter.js";
import { findKept, forget } from "./kept.js";
import { PageError } from "./page-error.js";
import { Python } from "./python.js";
import { release } from "./release.js";
import { keepSnapshot, readSnapshot, snapshotName } from "./snapshot.js";

/** @typedef {import("./vendored.js").Vendored} Vendored */

/**
 * @typedef {import("./interpreter.js").Pyodide} Pyodide
 * @typedef {(module: WebAssembly.Module, memory: WebAssembly.Memory) => void} Help
 * @typedef {{
 *   onProgress: import("./boot-progress.js").OnProgress,
 *   onVerified: () => void,
 *   emit: (id: number, text: string, logprob: number, index: number) => void,
 *   stopRequested: () => boolean,
 *   threads: number,
 *   helping: Promise<Help>,
 * }} Callbacks
 * @typedef {{pyodide: Pyodide, app: any, boot_kind: "snapshot" | "plain", keep: (() => Promise<void>) | null}} Started
 */

/**
 * @param {Vendored} vendored
 * @param {boolean} keeps whether a plain start is to leave a snapshot, which takes memory until it is kept
 * @param {Callbacks} callbacks
 * @throws {PageError} ManifestDrift: the files that Python starts from are not those of the manifest
 */
export async function bootPython(vendored, keeps, callbacks) {
  const started = performance.now();
  const name = globalThis.caches === undefined ? null : await snapshotName(vendored.digests);
  const { pyodide, app, boot_kind, keep } = await ofTheManifest(vendored, async () => (
    await fromSnapshot(vendored, name, callbacks) ?? plain(vendored, keeps ? name : null, callbacks)
  ));
  const facts = { boot_ms: performance.now() - started, boot_kind, pyodide: pyodide.version };
  return { python: new Python(pyodide, app), keep, facts };
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
async function fromSnapshot(vendored, name, callbacks) {
  if (name === null) return null;
  const kept = await findKept(name);
  if (kept === undefined) return null;
  try {
    const memory = readSnapshot(kept);
    const pyodide = await startFrom(vendored, memory, callbacks.onVerified);
    release((await memory).buffer); // the options of its start stay with Pyodide
    return { pyodide, app: await createApp(pyodide, callbacks), boot_kind: "snapshot", keep: null };
  } catch (error) {
    if (error instanceof PageError) throw error; // of a file, not of the snapshot
    await forget(name); // whatever it was, a plain start needs none of it
    return null;
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
  const keep = name === null || memory === null ? null : () => keepSnapshot(name, memory);
  return { pyodide, app: await createApp(pyodide, callbacks), boot_kind: "plain", keep };
}

/**
 * @param {Pyodide} pyodide
 * @param {Callbacks} callbacks
 */
async function createApp(pyodide, { emit, stopRequested, threads, helping }) {
  const { app, browser } = importRuntime(pyodide);
  browser.js = self; // after a start that can be snapshotted, a proxy stands there on which the browser's getters fail
  const host = browser.BrowserHost(threads, await helping);
  return app.App.callKwargs(host, { emit, stop_requested: stopRequested });
}
