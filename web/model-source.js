// @ts-check
// Where the bytes of a model come from: this device or the server, by the plan's word, or a file of the reader's own.
// The runtime sees the first 108 bytes, and says what they will cost, before more is read; while it still starts, the
// bytes come in unseen, up to the size that is declared.

import { HEADER_BYTES } from "./fetch-ledger.js";
import { findKept, forget } from "./kept.js";
import { megabytes } from "./megabytes.js";
import { PageError } from "./page-error.js";
import { MODEL_BUDGET_BYTES } from "./registry.js";

/**
 * @typedef {import("./model-runtime.js").ModelRuntime} ModelRuntime
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {{url: string, bytes: number, sha256: string, signal: AbortSignal, beforeRequest: () => void}} Source
 * @typedef {(file: ArrayBuffer, keep: boolean) => Promise<Figures>} Accept the second argument says whether the file is
 *   worth keeping on this device
 */

/**
 * Hands a model of the length that its entry declares to `accept`: from this device, or else its server. A kept file
 * about which anything is wrong is deleted and fetched again.
 * @param {Source} source
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {ModelRuntime} runtime
 * @param {Accept} accept
 */
export async function loadRegistered(source, ledger, runtime, accept) {
  const name = `model/${source.sha256}`;
  const kept = await findKept(name);
  if (kept === undefined) return loadFrom(undefined, source, ledger, runtime, accept);
  try {
    return await loadFrom(kept, source, ledger, runtime, accept);
  } catch (error) {
    const isOfTheFile = error instanceof PageError && error.detail["phase"] === undefined;
    if (!isOfTheFile || source.signal.aborted) throw error;
    await forget(name);
    return loadFrom(undefined, source, ledger, runtime, accept);
  }
}

/**
 * @param {Response | undefined} kept
 * @param {Source} source
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {ModelRuntime} runtime
 * @param {Accept} accept
 */
function loadFrom(kept, source, ledger, runtime, accept) {
  const { url, bytes } = source;
  let phase = kept === undefined ? "Downloading" : "Reading";
  const onHeader = async (/** @type {ArrayBuffer} */ header) => {
    const inspection = await runtime.inspect(header);
    if (inspection === null) return;
    if (inspection.file_bytes !== bytes) throw sizeMismatch(url, inspection.file_bytes, bytes);
    phase += `; will need ${megabytes(inspection.memory_bytes)} of memory`;
  };
  const onProgress = (/** @type {number} */ done_bytes) => runtime.report({ phase, done_bytes, total_bytes: bytes });
  const request = { ...source, component: "model", kept, onHeader, onProgress };
  return ledger.fetchModel(request, (file) => accept(file, kept === undefined));
}

/**
 * Loads a local file that starts like a model that fits; there is no entry and no evidence to hold it against.
 * @param {File} file
 * @param {ModelRuntime} runtime
 */
export async function loadLocal(file, runtime) {
  if (file.size > MODEL_BUDGET_BYTES) throw tooLarge(file);
  const inspection = await runtime.inspect(await bytesOf(file, file.slice(0, HEADER_BYTES)));
  const needs = inspection === null ? "" : `; will need ${megabytes(inspection.memory_bytes)} of memory`;
  runtime.report({ phase: `Reading${needs}`, done_bytes: 0, total_bytes: file.size });
  return runtime.load(await bytesOf(file, file));
}

/**
 * @param {File} file
 * @param {Blob} part of it
 * @throws {PageError} FileUnreadable
 */
export async function bytesOf({ name }, part) {
  try {
    return await part.arrayBuffer();
  } catch (error) {
    throw new PageError("FileUnreadable", `${name} could not be read (${error}). Has it been changed or moved? Choose it again.`);
  }
}

/**
 * Loads a model from an address that no registry speaks for; nor does anything else, but its SHA-256 where it is given.
 * @param {string} url
 * @param {string | null} sha256
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {ModelRuntime} runtime
 */
export async function loadFetched(url, sha256, ledger, runtime) {
  const { signal, verified } = runtime;
  await verified;
  signal.throwIfAborted();
  const onProgress = (/** @type {number} */ done_bytes) => (
    runtime.report({ phase: "Downloading", done_bytes, total_bytes: null }));
  return runtime.load(await ledger.fetchBytes(url, "model", MODEL_BUDGET_BYTES, { signal, sha256, onProgress }));
}

/**
 * @param {string} url
 * @param {number} found
 * @param {number} declared
 */
function sizeMismatch(url, found, declared) {
  return new PageError(
    "FileSizeMismatch",
    `The header of ${url} says ${found} bytes, the registry says ${declared}. Restore the file, or choose another model.`,
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
