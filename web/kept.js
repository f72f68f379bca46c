// @ts-check
// What stays on this device from visit to visit, in the Cache API: models by their SHA-256, a snapshot of Python.
// An entry comes in whole and after its bytes were hashed; whoever takes one out hashes it again. Nothing depends on
// it: without the Cache API (an address that is not secure, some private windows) or room, every visit is a first one.

import { sha256Of } from "./digest.js";
import { release } from "./release.js";

const CACHE = "tinypylm";
const FOLDER = new URL("kept/", import.meta.url).href;

/** @typedef {{name: string, label: string, bytes: number, sha256: string}} Kept */

/**
 * Puts `body` in the place of what has this name.
 * @param {Kept} description
 * @param {Blob} body
 */
export function keep({ name, label, bytes, sha256 }, body) {
  const headers = { "X-Label": encodeURIComponent(label), "X-Bytes": String(bytes), "X-SHA-256": sha256 };
  return inCache((cache) => cache.put(FOLDER + name, new Response(body, { headers })), undefined);
}

/**
 * @param {string} name
 * @returns {Promise<Response | undefined>}
 */
export function findKept(name) {
  return inCache((cache) => cache.match(FOLDER + name), undefined);
}

/**
 * Puts `bytes`, which are empty afterwards, in the place of all whose name is `old`.
 * @param {{name: string, label: string}} description
 * @param {ArrayBuffer} bytes
 * @param {(name: string) => boolean} old
 */
export async function keepInstead({ name, label }, bytes, old) {
  const others = (await listKept()).filter((kept) => old(kept.name));
  await Promise.all(others.map((kept) => forget(kept.name)));
  const sha256 = await sha256Of(bytes);
  const body = new Blob([bytes]);
  release(bytes);
  await keep({ name, label, bytes: body.size, sha256 }, body);
}

/**
 * The bytes of an entry; null if they have changed since they were kept.
 * @param {Response} response
 */
export async function intactBytes(response) {
  const bytes = await response.arrayBuffer();
  return await sha256Of(bytes) === response.headers.get("X-SHA-256") ? bytes : null;
}

/** @param {string} name */
export function forget(name) {
  return inCache((cache) => cache.delete(FOLDER + name), false);
}

/** @returns {Promise<Kept[]>} */
export function listKept() {
  return inCache(async (cache) => {
    const own = (await cache.keys()).filter(({ url }) => url.startsWith(FOLDER)); // another site of this host has others
    const responses = await Promise.all(own.map(async (key) => describe(key.url, await cache.match(key))));
    return responses.flat();
  }, []);
}

/**
 * @param {string} url
 * @param {Response | undefined} response undefined if the entry has gone meanwhile
 * @returns {Kept[]}
 */
function describe(url, response) {
  if (response === undefined) return [];
  const field = (/** @type {string} */ name) => response.headers.get(name) ?? "";
  const label = decodeURIComponent(field("X-Label"));
  return [{ name: url.slice(FOLDER.length), label, bytes: Number(field("X-Bytes")), sha256: field("X-SHA-256") }];
}

/**
 * @template T
 * @param {(cache: Cache) => Promise<T>} work
 * @param {T} otherwise
 */
async function inCache(work, otherwise) {
  try {
    return await work(await caches.open(CACHE));
  } catch {
    return otherwise; // see above: not having it is a case like any other
  }
}
