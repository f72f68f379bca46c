// @ts-check
// Every fetch of the page after its own files: where from, declared and accepted bytes, digest, outcome.

import { canHash, digestMismatch, sha256Of } from "./digest.js";
import { download, read } from "./download.js";
import { PageError } from "./page-error.js";

export const HEADER_BYTES = 108;

/**
 * @typedef {{url: string, component: string, source: "network" | "cache", requests: number,
 *   declared_bytes: number | null, accepted_bytes: number, sha256: string | null, outcome: string}} LedgerEntry
 * @typedef {{url: string, component: string, bytes: number, sha256: string | null, signal: AbortSignal,
 *   beforeRequest: () => void}} DeclaredFetch
 * @typedef {DeclaredFetch & {sha256: string, kept: Response | undefined,
 *   onHeader: (header: ArrayBuffer) => Promise<void>, onProgress: (done_bytes: number) => void}} ModelFetch
 * @typedef {{signal: AbortSignal | null, sha256: string | null, onProgress: (done_bytes: number) => void}} Terms
 */

export class FetchLedger {
  /** @type {LedgerEntry[]} */
  #entries = [];

  get entries() {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  /**
   * Hands the body of `url`, exactly `bytes` long, to `accept`, which compares its digest with `sha256`. `onHeader` sees
   * the first 108 bytes before more is read; if it throws, the download ends there. `kept` saves the download.
   * @template T
   * @param {ModelFetch} request
   * @param {(parts: ArrayBuffer[]) => Promise<T>} accept
   * @returns {Promise<T>}
   */
  fetchModel({ url, component, bytes, sha256, signal, kept, onHeader, onProgress, beforeRequest }, accept) {
    const entry = this.#open(url, component, kept === undefined ? "network" : "cache", bytes);
    return settled(entry, async () => {
      const terms = { limit_bytes: bytes, signal, beforeRequest, afterPart: watch(entry, onHeader, onProgress) };
      const parts = await (kept === undefined ? download(entry, terms) : read(kept, entry, terms));
      if (entry.accepted_bytes < bytes) throw truncated(entry, bytes);
      const value = await accept(parts);
      entry.sha256 = sha256;
      return value;
    });
  }

  /**
   * The body of `url`, exactly `bytes` long; with this SHA-256, where one is declared.
   * @param {DeclaredFetch} request
   */
  fetchDeclared({ url, component, bytes, sha256, signal, beforeRequest }) {
    const entry = this.#open(url, component, "network", bytes);
    return settled(entry, async () => {
      const terms = { limit_bytes: bytes, signal, beforeRequest, afterPart: async () => undefined };
      const body = await new Blob(await download(entry, terms)).arrayBuffer();
      if (body.byteLength < bytes) throw truncated(entry, bytes);
      entry.sha256 = await sha256Of(body);
      if (sha256 !== null && entry.sha256 !== sha256) throw digestMismatch(url, entry.sha256, sha256);
      return body;
    });
  }

  /**
   * The body of `url`, of at most `limit_bytes`: for what nothing else declares, but perhaps its digest.
   * @param {string} url
   * @param {string} component
   * @param {number} limit_bytes
   * @param {Partial<Terms>} [terms]
   */
  fetchBytes(url, component, limit_bytes, { signal = null, sha256 = null, onProgress = () => undefined } = {}) {
    const entry = this.#open(url, component, "network", null);
    return settled(entry, async () => {
      const afterPart = async () => onProgress(entry.accepted_bytes);
      const parts = await download(entry, { limit_bytes, signal, beforeRequest: () => undefined, afterPart });
      const body = await new Blob(parts).arrayBuffer();
      entry.sha256 = canHash() || sha256 !== null ? await sha256Of(body) : null;
      if (sha256 !== null && entry.sha256 !== sha256) throw digestMismatch(url, entry.sha256 ?? "", sha256);
      return body;
    });
  }

  /**
   * The row of what was fetched last for a component.
   * @param {string} component
   * @returns {LedgerEntry | undefined} which goes on changing
   */
  last(component) {
    return this.#entries.findLast((entry) => entry.component === component);
  }

  /**
   * @param {string} url
   * @param {string} component
   * @param {"network" | "cache"} source
   * @param {number | null} declared_bytes
   */
  #open(url, component, source, declared_bytes) {
    /** @type {LedgerEntry} */
    const entry = {
      url, component, source, requests: 0, declared_bytes, accepted_bytes: 0, sha256: null, outcome: "streaming",
    };
    this.#entries.push(entry);
    return entry;
  }
}

/**
 * @template T
 * @param {LedgerEntry} entry
 * @param {() => Promise<T>} run
 */
async function settled(entry, run) {
  try {
    const value = await run();
    entry.outcome = "accepted";
    return value;
  } catch (error) {
    entry.outcome = outcomeOf(error);
    if (error instanceof PageError && error.code === "DigestMismatch") entry.sha256 = String(error.detail["found"]);
    throw error;
  }
}

/**
 * @param {LedgerEntry} entry
 * @param {ModelFetch["onHeader"]} onHeader
 * @param {ModelFetch["onProgress"]} onProgress
 */
function watch(entry, onHeader, onProgress) {
  let inspected = false;
  return async (/** @type {ArrayBuffer[]} */ parts) => {
    onProgress(entry.accepted_bytes);
    if (inspected || entry.accepted_bytes < Math.min(HEADER_BYTES, entry.declared_bytes ?? 0)) return;
    inspected = true;
    await onHeader(await new Blob(parts).slice(0, HEADER_BYTES).arrayBuffer());
  };
}

/**
 * @param {LedgerEntry} entry
 * @param {number} declared_bytes
 */
function truncated({ url, accepted_bytes }, declared_bytes) {
  return new PageError(
    "FetchTruncated",
    `${url} ended after ${accepted_bytes} bytes, expected ${declared_bytes}. Load it again.`,
    { accepted_bytes, declared_bytes },
  );
}

/** @param {unknown} error */
function outcomeOf(error) {
  if (error instanceof PageError) return error.code;
  return error instanceof DOMException && error.name === "AbortError" ? "cancelled" : "failed";
}
