// @ts-check
// How many threads compute: half of the processors, or what the address asks for.

import { PageError } from "./page-error.js";

const MOST_THREADS = 4;

/** Whether threads of this page can share memory. WebKitGTK may be isolated and not have what that is for. */
export const canShareMemory = globalThis.crossOriginIsolated && globalThis.SharedArrayBuffer !== undefined;

/**
 * Half of the processors, since a thread that waits for a busy one costs more than it brings; one where memory cannot
 * be shared. `refusal` says why `?threads=` in the address was not followed.
 * @returns {{count: number, refusal: PageError | null}}
 */
export function threadsHere() {
  const wanted = new URL(location.href).searchParams.get("threads");
  const usual = Math.min(Math.max(Math.floor(navigator.hardwareConcurrency / 2) || 1, 1), MOST_THREADS);
  const allowed = wanted === null || /^[1-4]$/.test(wanted);
  const count = allowed && wanted !== null ? Number(wanted) : usual;
  return { count: canShareMemory ? count : 1, refusal: allowed ? null : outOfRange(wanted, count) };
}

/**
 * @param {string | null} wanted
 * @param {number} count
 */
function outOfRange(wanted, count) {
  const message = `The address asks for threads=${wanted}; it has to be a whole number from 1 to ${MOST_THREADS}. ` +
    `Now ${count} ${count === 1 ? "is" : "are"} used. Correct the address and open it again.`;
  return new PageError("ThreadsOutOfRange", message, { found: wanted, least: 1, most: MOST_THREADS });
}
