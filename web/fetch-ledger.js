// @ts-check
// Every fetch of the page after its own files: declared and accepted bytes, digest, outcome. A response is counted
// while it streams and is stopped at the first byte beyond what was declared.

import { PageError } from "./page-error.js";

export const HEADER_BYTES = 108;

/**
 * @typedef {{url: string, component: string, declared_bytes: number | null, accepted_bytes: number,
 *   sha256: string | null, outcome: string}} LedgerEntry
 * @typedef {{url: string, component: string, bytes: number, sha256: string, signal: AbortSignal,
 *   onHeader: (header: ArrayBuffer) => Promise<void>, onProgress: (done_bytes: number) => void}} DeclaredFetch
 * @typedef {{header: (header: ArrayBuffer) => Promise<void>, progress: (done_bytes: number) => void}} Watcher
 */

export class FetchLedger {
  /** @type {LedgerEntry[]} */
  #entries = [];

  get entries() {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  /**
   * The body of `url`, which is exactly `bytes` long and has the digest `sha256`. `onHeader` sees its first 108
   * bytes before more is read; if it throws, the download ends there.
   * @param {DeclaredFetch} request
   * @returns {Promise<ArrayBuffer>}
   */
  async fetchDeclared({ url, component, bytes, sha256, signal, onHeader, onProgress }) {
    return this.#record(url, component, bytes, async (entry) => {
      const target = new Uint8Array(bytes);
      const response = await open(url, signal);
      await fill(target, response, entry, { header: onHeader, progress: onProgress });
      entry.sha256 = await sha256Of(target.buffer);
      if (entry.sha256 !== sha256) throw digestMismatch(url, entry.sha256, sha256);
      return target.buffer;
    });
  }

  /**
   * The text of `url`, of at most `limit_bytes`.
   * @param {string} url
   * @param {string} component
   * @param {number} limit_bytes
   */
  async fetchText(url, component, limit_bytes) {
    return this.#record(url, component, null, async (entry) => {
      const target = new Uint8Array(limit_bytes);
      await stream(target, await open(url, null), entry, () => undefined);
      return new TextDecoder("utf-8", { fatal: true }).decode(target.subarray(0, entry.accepted_bytes));
    });
  }

  /**
   * @template T
   * @param {string} url
   * @param {string} component
   * @param {number | null} declared_bytes
   * @param {(entry: LedgerEntry) => Promise<T>} run
   */
  async #record(url, component, declared_bytes, run) {
    /** @type {LedgerEntry} */
    const entry = { url, component, declared_bytes, accepted_bytes: 0, sha256: null, outcome: "streaming" };
    this.#entries.push(entry);
    try {
      const value = await run(entry);
      entry.outcome = "accepted";
      return value;
    } catch (error) {
      entry.outcome = outcomeOf(error);
      throw error;
    }
  }
}

/**
 * Lower-case hexadecimal SHA-256 of `data`.
 * @param {ArrayBuffer} data
 */
export async function sha256Of(data) {
  if (globalThis.crypto?.subtle === undefined) {
    throw new PageError(
      "InsecureContext",
      "This page cannot compute SHA-256, because its address is neither https nor this machine. " +
        "Open it as http://127.0.0.1 or over https.",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} url
 * @param {AbortSignal | null} signal
 */
async function open(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new PageError("FetchFailed", `${url} could not be fetched (${error}). Is the server still running?`, { url });
  }
  if (response.ok && response.body !== null) return response;
  const status = response.status;
  throw new PageError("FetchFailed", `${url} was answered with status ${status}, expected 200. Is the file there?`, { url, status });
}

/**
 * Fills `target` exactly, showing the watcher the header first.
 * @param {Uint8Array<ArrayBuffer>} target
 * @param {Response} response
 * @param {LedgerEntry} entry
 * @param {Watcher} watcher
 */
async function fill(target, response, entry, watcher) {
  let inspected = false;
  await stream(target, response, entry, async () => {
    watcher.progress(entry.accepted_bytes);
    if (inspected || entry.accepted_bytes < Math.min(HEADER_BYTES, target.length)) return;
    inspected = true;
    await watcher.header(target.slice(0, HEADER_BYTES).buffer);
  });
  if (entry.accepted_bytes === target.length) return;
  throw new PageError(
    "FetchTruncated",
    `${entry.url} ended after ${entry.accepted_bytes} bytes, expected ${target.length}. Load it again.`,
    { accepted_bytes: entry.accepted_bytes, declared_bytes: target.length },
  );
}

/**
 * Copies the body into `target` and counts it in `entry`; cancels the download if it fails half-way.
 * @param {Uint8Array} target
 * @param {Response} response
 * @param {LedgerEntry} entry
 * @param {() => void | Promise<void>} afterChunk
 */
async function stream(target, response, entry, afterChunk) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (entry.accepted_bytes + value.length > target.length) throw overrun(entry, target.length);
      target.set(value, entry.accepted_bytes);
      entry.accepted_bytes += value.length;
      await afterChunk();
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw lostConnection(error, entry);
  }
}

/**
 * A stream that breaks off rejects with a bare TypeError; a cancel and our own errors pass through.
 * @param {unknown} error
 * @param {LedgerEntry} entry
 */
function lostConnection(error, entry) {
  if (!(error instanceof TypeError)) return error;
  return new PageError("FetchFailed", `${entry.url} broke off after ${entry.accepted_bytes} bytes. Load it again.`, { url: entry.url });
}

/**
 * @param {LedgerEntry} entry
 * @param {number} limit_bytes
 */
function overrun(entry, limit_bytes) {
  return new PageError(
    "FetchOverrun",
    `${entry.url} sent more than the ${limit_bytes} bytes that were declared; the download was stopped. ` +
      "The file and the registry do not belong together: write the registry again.",
    { declared_bytes: limit_bytes },
  );
}

/**
 * @param {string} url
 * @param {string} found
 * @param {string} expected
 */
function digestMismatch(url, found, expected) {
  return new PageError(
    "DigestMismatch",
    `${url} has the SHA-256 ${found}, expected ${expected}: the file was altered. Restore it, or choose another model.`,
    { found, expected },
  );
}

/** @param {unknown} error */
function outcomeOf(error) {
  if (error instanceof PageError) return error.code;
  return error instanceof DOMException && error.name === "AbortError" ? "cancelled" : "failed";
}
