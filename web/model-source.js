// @ts-check
// Where the bytes of a model come from: this device or the server, by the registry's word, or a file of the reader's
// own. The runtime sees the first 108 bytes, and says what they will cost, before more is read; while it still
// starts, the bytes come in unseen, up to the size that the registry declares.

import { HEADER_BYTES } from "./fetch-ledger.js";
import { findKept, forget } from "./kept.js";
import { PageError } from "./page-error.js";
import { MODEL_BUDGET_BYTES } from "./registry.js";

/**
 * @typedef {{memory_bytes: number, file_bytes: number}} Inspection
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {{
 *   signal: AbortSignal,
 *   inspect: (header: ArrayBuffer) => Promise<Inspection | null>,
 *   onProgress: (progress: import("./store.js").Progress) => void,
 *   load: (parts: ArrayBuffer[], params: {sha256?: string, keep_as?: string}) => Promise<Figures>,
 * }} Runtime what the worker does with a model; `inspect` has no answer while Python starts
 */

/**
 * Loads a registered model, of the length and digest that its entry declares: from this device, or else its server. A
 * kept file about which anything is wrong is deleted and fetched again.
 * @param {import("./registry.js").ModelEntry} entry
 * @param {string} url
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {Runtime} runtime
 */
export async function loadRegistered(entry, url, ledger, runtime) {
  const name = `model/${entry.sha256}`;
  const kept = await findKept(name);
  if (kept === undefined) return loadFrom(undefined, entry, url, ledger, runtime);
  try {
    return await loadFrom(kept, entry, url, ledger, runtime);
  } catch (error) {
    if (!(error instanceof PageError)) throw error;
    await forget(name);
    return loadFrom(undefined, entry, url, ledger, runtime);
  }
}

/**
 * @param {Response | undefined} kept
 * @param {import("./registry.js").ModelEntry} entry
 * @param {string} url
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {Runtime} runtime
 */
function loadFrom(kept, { label, bytes, sha256 }, url, ledger, { signal, inspect, onProgress, load }) {
  let phase = kept === undefined ? "Downloading" : "Reading";
  const onHeader = async (/** @type {ArrayBuffer} */ header) => {
    const inspection = await inspect(header);
    if (inspection === null) return;
    if (inspection.file_bytes !== bytes) throw sizeMismatch(url, inspection.file_bytes, bytes);
    phase += `; will need ${megabytes(inspection.memory_bytes)} of memory`;
  };
  const report = (/** @type {number} */ done_bytes) => onProgress({ phase, done_bytes, total_bytes: bytes });
  const request = { url, component: "model", bytes, sha256, signal, kept, onHeader, onProgress: report };
  const params = kept === undefined ? { sha256, keep_as: label } : { sha256 };
  return ledger.fetchDeclared(request, (parts) => load(parts, params));
}

/**
 * Loads a local file that starts like a model that fits; there is no registered digest to hold it against.
 * @param {File} file
 * @param {Runtime} runtime
 */
export async function loadLocal(file, { inspect, onProgress, load }) {
  if (file.size > MODEL_BUDGET_BYTES) throw tooLarge(file);
  const inspection = await inspect(await file.slice(0, HEADER_BYTES).arrayBuffer());
  const needs = inspection === null ? "" : `; will need ${megabytes(inspection.memory_bytes)} of memory`;
  onProgress({ phase: `Reading${needs}`, done_bytes: 0, total_bytes: file.size });
  return load([await file.arrayBuffer()], {});
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/**
 * @param {string} url
 * @param {number} found
 * @param {number} declared
 */
function sizeMismatch(url, found, declared) {
  return new PageError(
    "FileSizeMismatch",
    `The header of ${url} says ${found} bytes, the registry says ${declared}. Write the registry again with ` +
      '"tinypylm registry models/".',
    { found, declared },
  );
}

/** @param {File} file */
function tooLarge({ name, size }) {
  return new PageError(
    "FileTooLarge",
    `${name} has ${size} bytes, a model may have ${MODEL_BUDGET_BYTES}. Pack it smaller, for example as q4_0.`,
    { found: size, expected: MODEL_BUDGET_BYTES },
  );
}
