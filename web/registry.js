// @ts-check
// The selector registry: which models the page offers, and what each must be. Nothing in it is trusted for more
// than its shape: bytes and digest are checked on the model itself.

import { PageError } from "./page-error.js";

export const MODEL_BUDGET_BYTES = 33_554_432;
export const REGISTRY_BUDGET_BYTES = 262_144;

/**
 * @typedef {{id: string, label: string, family: string, quantization: string, file: string, bytes: number,
 *   sha256: string, licence: string}} ModelEntry
 */

/** @type {ReadonlyArray<[keyof ModelEntry, (value: unknown) => boolean, string]>} */
const RULES = [
  ["id", matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/), "1 to 64 of A-Z a-z 0-9 . _ -"],
  ["label", (value) => typeof value === "string" && value.length >= 1 && value.length <= 120, "1 to 120 characters"],
  ["family", (value) => typeof value === "string", "a string"],
  ["quantization", (value) => typeof value === "string", "a string"],
  ["file", matches(/^[A-Za-z0-9][A-Za-z0-9._-]*\.slm$/), "the name of a .slm file, without a folder"],
  ["bytes", isModelSize, `1 to ${MODEL_BUDGET_BYTES}`],
  ["sha256", matches(/^[0-9a-f]{64}$/), "64 lower-case hexadecimal digits"],
  ["licence", (value) => typeof value === "string", "a string"],
];

/**
 * The entries of a registry's text, in its order.
 * @param {string} text
 * @returns {ModelEntry[]}
 * @throws {PageError} RegistryInvalid
 */
export function parseRegistry(text) {
  const registry = parseJson(text);
  if (registry?.version !== 1) throw invalid(`version is ${JSON.stringify(registry?.version)}, expected 1`);
  if (!Array.isArray(registry.models)) throw invalid("models is not a list");
  /** @type {ModelEntry[]} */
  const models = registry.models.map(checkEntry);
  const ids = models.map((model) => model.id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw invalid(`two models have the id ${twice}`);
  return models;
}

/**
 * @param {any} entry
 * @param {number} index
 * @returns {ModelEntry}
 */
function checkEntry(entry, index) {
  for (const [field, holds, expected] of RULES) {
    const value = entry?.[field];
    if (!holds(value)) throw invalid(`models[${index}].${field} is ${JSON.stringify(value)}, expected ${expected}`);
  }
  return Object.freeze(/** @type {ModelEntry} */ (Object.fromEntries(RULES.map(([field]) => [field, entry[field]]))));
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`it is not JSON (${error instanceof Error ? error.message : error})`);
  }
}

/** @param {RegExp} pattern */
function matches(pattern) {
  return (/** @type {unknown} */ value) => typeof value === "string" && pattern.test(value);
}

/** @param {unknown} value */
function isModelSize(value) {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= MODEL_BUDGET_BYTES;
}

/** @param {string} reason */
function invalid(reason) {
  return new PageError(
    "RegistryInvalid",
    `The model registry is refused: ${reason}. Write it again with "tinypylm registry models/", or open a .slm file.`,
  );
}
