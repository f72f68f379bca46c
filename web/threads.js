// @ts-check
// How many threads compute, half of the processors where nothing else is wanted, and how keys and values are kept.

import { PageError } from "./page-error.js";

const MOST_THREADS = 4;

/** Whether threads of this page can share memory. WebKitGTK may be isolated and not have what that is for. */
export const canShareMemory = globalThis.crossOriginIsolated && globalThis.SharedArrayBuffer !== undefined;

/** @typedef {{threads: string | null, kv_cache: string}} Settings of a runtime; null is as many threads as fit */

/** What the page's address asks for. @returns {Settings} */
export function settingsHere() {
  const { searchParams } = new URL(location.href);
  return { threads: searchParams.get("threads"), kv_cache: searchParams.get("kv-cache") ?? "f32" };
}

/**
 * Half of the processors, since a thread that waits for a busy one costs more than it brings; one where memory cannot
 * be shared. `refusal` says why `wanted` was not followed.
 * @param {string | null} wanted
 * @returns {{count: number, refusal: PageError | null}}
 */
export function threadsFor(wanted) {
  const usual = Math.min(Math.max(Math.floor(navigator.hardwareConcurrency / 2) || 1, 1), MOST_THREADS);
  const allowed = wanted === null || /^[1-4]$/.test(wanted);
  const count = allowed && wanted !== null ? Number(wanted) : usual;
  return { count: canShareMemory ? count : 1, refusal: allowed ? null : outOfRange(wanted, count) };
}

/**
 * @param {string} wanted
 * @param {number} count
 */
function outOfRange(wanted, count) {
  const message = `threads=${wanted} was asked for; it has to be a whole number from 1 to ${MOST_THREADS}. ` +
    `Without it ${count} ${count === 1 ? "is" : "are"} used. Correct it and start again.`;
  return new PageError("ThreadsOutOfRange", message, { found: wanted, least: 1, most: MOST_THREADS });
}
