// @ts-check
// Every fetch of the page after its own files: where from, declared and accepted bytes, digest, outcome.

import { canHash, digestMismatch, sha256Of } from "./digest.js";
import { download, read } from "./download.js";
import { PageError } from "./page-error.js";
import { release } from "./release.js";

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
   * Hands the body of `url`, exactly `bytes` long and with this SHA-256, to `accept` in one piece. `onHeader` sees the
   * first 108 bytes before more is read; if it throws, the download ends there. `kept` saves the download.
   * @template T
   * @param {ModelFetch} request
   * @param {(file: ArrayBuffer) => Promise<T>} accept
   * @returns {Promise<T>}
   */
  fetchModel({ url, component, bytes, sha256, signal, kept, onHeader, onProgress, beforeRequest }, accept) {
    const entry = this.#open(url, component, kept === undefined ? "network" : "cache", bytes);
    return settled(entry, async () => {
      const file = new Uint8Array(bytes);
      const terms = { limit_bytes: bytes, signal, beforeRequest, afterPart: fill(file, onHeader, onProgress) };
      await (kept === undefined ? download(entry, terms) : read(kept, entry, terms));
      if (entry.accepted_bytes < bytes) throw truncated(entry, bytes);
      const found = await sha256Of(file);
      if (found !== sha256) throw digestMismatch("The model", found, sha256);
      const value = await accept(file.buffer);
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
 * Puts each part into its place, so that the file is there once.
 * @param {Uint8Array<ArrayBuffer>} file
 * @param {ModelFetch["onHeader"]} onHeader
 * @param {ModelFetch["onProgress"]} onProgress
 */
function fill(file, onHeader, onProgress) {
  let inspected = false;
  let at = 0;
  return async (/** @type {ArrayBuffer[]} */ parts) => {
    for (const part of parts.splice(0)) {
      file.set(new Uint8Array(part), at);
      at += part.byteLength;
      release(part);
    }
    onProgress(at);
    if (inspected || at < Math.min(HEADER_BYTES, file.length)) return;
    inspected = true;
    await onHeader(file.slice(0, HEADER_BYTES).buffer);
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
