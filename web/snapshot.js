// @ts-check
// A snapshot of Python's memory, from the server or kept from visit to visit: found under the digests of all that it was
// made from, and used only if its bytes have the SHA-256 that they were kept with.

import { sha256Of } from "./digest.js";
import { intactBytes, keepInstead } from "./kept.js";
import { release } from "./release.js";
import { packed } from "./snapshot-pages.js";

const FORMAT = 2;
const FOLDER = "snapshot/";

/**
 * The name of the snapshot that these files make. The browser is a part of it: which functions Pyodide puts into
 * WebAssembly's table, whose indices stand in the memory, depends on what the browser can do.
 * @param {Record<string, string>} files SHA-256 by path
 */
export async function snapshotName(files) {
  const made_from = JSON.stringify([FORMAT, navigator.userAgent, Object.entries(files).sort()]);
  return FOLDER + (await sha256Of(new TextEncoder().encode(made_from)));
}

/**
 * A kept snapshot.
 * @param {Response} response
 */
export async function readKept(response) {
  const bytes = await intactBytes(response);
  if (bytes === null) throw new Error("the snapshot has changed since it was kept");
  return bytes;
}

/**
 * The snapshot that the server has.
 * @param {Response} response
 */
export function readServed(response) {
  const stream = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body);
  return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/**
 * Keeps `memory`, as Pyodide makes it, in the place of every other snapshot.
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} memory
 */
export function keepMemory(name, memory) {
  const bytes = packed(memory);
  release(memory.buffer);
  return keepSnapshot(name, bytes);
}

/**
 * @param {string} name
 * @param {ArrayBuffer} bytes
 */
export function keepSnapshot(name, bytes) {
  return keepInstead({ name, label: "Python, started" }, bytes, (other) => other.startsWith(FOLDER));
}
