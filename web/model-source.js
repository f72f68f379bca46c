// @ts-check
// Where the bytes of a model come from: the server, by the registry's word, or a file of the reader's own. Either
// way the runtime sees the first 108 bytes, and says what they will cost, before more is read.

import { HEADER_BYTES } from "./fetch-ledger.js";
import { PageError } from "./page-error.js";
import { MODEL_BUDGET_BYTES } from "./registry.js";

/**
 * @typedef {{memory_bytes: number, file_bytes: number}} Inspection
 * @typedef {{signal: AbortSignal, inspect: (header: ArrayBuffer) => Promise<Inspection>,
 *   onProgress: (progress: import("./store.js").Progress) => void}} Source
 */

/**
 * The bytes of a registered model, with the length and digest that its entry declares.
 * @param {import("./registry.js").ModelEntry} entry
 * @param {string} url
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {Source} source
 */
export function loadRegistered({ bytes, sha256 }, url, ledger, { signal, inspect, onProgress }) {
  let phase = "Downloading";
  const onHeader = async (/** @type {ArrayBuffer} */ header) => {
    const inspection = await inspect(header);
    if (inspection.file_bytes !== bytes) throw sizeMismatch(url, inspection.file_bytes, bytes);
    phase = `Downloading; will need ${megabytes(inspection.memory_bytes)} of memory`;
  };
  const report = (/** @type {number} */ done_bytes) => onProgress({ phase, done_bytes, total_bytes: bytes });
  return ledger.fetchDeclared({ url, component: "model", bytes, sha256, signal, onHeader, onProgress: report });
}

/**
 * The bytes of a local file that starts like a model that fits.
 * @param {File} file
 * @param {Source} source
 */
export async function readLocal(file, { inspect, onProgress }) {
  if (file.size > MODEL_BUDGET_BYTES) throw tooLarge(file);
  const { memory_bytes } = await inspect(await file.slice(0, HEADER_BYTES).arrayBuffer());
  const phase = `Reading; will need ${megabytes(memory_bytes)} of memory`;
  onProgress({ phase, done_bytes: 0, total_bytes: file.size });
  return file.arrayBuffer();
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
