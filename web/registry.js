// @ts-check
// The selector registry: which models the page offers, what each must be, and which plan says how it is assembled.
// Nothing in it is trusted for more than its shape: bytes and digests are checked on what is fetched.

import { PageError } from "./page-error.js";
import {
  F32_BITS, LINE, NAME, SHA256, SIZE, boolean, choice, head, listOf, loadRecord, record, text,
} from "./schema.js";

export const MODEL_BUDGET_BYTES = 33_554_432;
export const STACK_BUDGET_BYTES = 1_048_576;
const REGISTRY_BUDGET_BYTES = 262_144;

/**
 * @typedef {{path: string, bytes: number, sha256: string}} PinnedFile
 * @typedef {{name: string, format: string, file: string, bytes: number, sha256: string,
 *   scale_bits: string}} StackedAdapter
 * @typedef {{id: string, label: string, family: string, quantization: string, file: string, bytes: number,
 *   sha256: string, licence: string, enabled: boolean, claims: string[], verdict: string, manifest: string,
 *   admission: string, plan: PinnedFile, adapters: StackedAdapter[], quarantine?: string}} ModelEntry
 * @typedef {{path: string, bytes: number, entries: number, head: string}} LedgerPin
 * @typedef {{bytes: ArrayBuffer, models: readonly ModelEntry[], ledger: LedgerPin}} Registry
 */

/** @type {Registry} */
export const EMPTY_REGISTRY = Object.freeze({
  bytes: new ArrayBuffer(0), models: Object.freeze([]), ledger: Object.freeze({ path: "", bytes: 0, entries: 0, head: "" }),
});

const OUTSIDE = "PathOutsideModels";

export const PATH = text(
  /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*){0,3}$/,
  "a path under models/, whose parts start with a letter or digit", OUTSIDE,
);
const ADAPTER = record({
  name: NAME, format: choice("ADP1", "ASP1", "ALR1"),
  file: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,59}\.(?:adp1|asp1|alr1)$/, "the name of an adapter package", OUTSIDE),
  bytes: SIZE, sha256: SHA256, scale_bits: F32_BITS,
});
const ENTRY = record({
  id: NAME,
  label: text(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,120}$/u, "1 to 120 characters on one line"),
  family: choice("llama", "gpt_neox"), quantization: choice("f32", "q8_0", "q4_0"),
  file: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,59}\.slm$/, "the name of a .slm file, without a folder", OUTSIDE),
  bytes: SIZE, sha256: SHA256, licence: LINE,
  enabled: boolean, claims: listOf(choice("runtime-smoke", "assistant-quality"), 1, 2),
  verdict: choice("better", "not shown", "worse", "no parent"),
  manifest: SHA256, admission: SHA256, plan: record({ path: PATH, bytes: SIZE, sha256: SHA256 }),
  adapters: listOf(ADAPTER, 0, 2),
}, { quarantine: SHA256 });
const REGISTRY = record({
  ...head("selector-registry"),
  models: listOf(ENTRY, 0, 256),
  ledger: record({ path: choice("population.ledger"), bytes: SIZE, entries: SIZE, head: SHA256 }),
});

/**
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {string} base address of the page
 */
export async function fetchRegistry(ledger, base) {
  const url = new URL("models/selector.registry", base).href;
  return parseRegistry(await ledger.fetchBytes(url, "registry", REGISTRY_BUDGET_BYTES));
}

/**
 * @param {ArrayBuffer} bytes
 * @returns {Registry}
 * @throws {PageError} with the code of the rule that is broken
 */
export function parseRegistry(bytes) {
  try {
    const { models, ledger } = loadRecord(bytes, "selector-registry", REGISTRY);
    return Object.freeze({ bytes, models: Object.freeze(models), ledger });
  } catch (error) {
    throw error instanceof PageError ? refused(error) : error;
  }
}

/**
 * The enabled entry `id`, whose declared sizes are within the budgets: looked at before a byte of it is asked for.
 * @param {Registry} registry
 * @param {string} id
 * @returns {ModelEntry}
 * @throws {PageError} EntryUnknown, EntryDisabled, RegistryRejected, ModelOverBudget, StackOverBudget
 */
export function findEntry({ models }, id) {
  const [entry, twin] = models.filter((model) => model.id === id);
  if (twin !== undefined) throw new PageError("RegistryRejected", `Two models of the registry have the id "${id}".`, { id });
  if (entry === undefined) {
    const known = models.map((model) => model.id).join(", ") || "none";
    throw new PageError("EntryUnknown", `There is no model "${id}" in the registry. Known are: ${known}.`, { id });
  }
  if (!entry.enabled) {
    throw new PageError("EntryDisabled", `The model "${id}" was withdrawn. Choose another one.`, { id });
  }
  checkBudgets(entry);
  return entry;
}

/** @param {ModelEntry} entry */
function checkBudgets({ id, bytes, adapters }) {
  const stack_bytes = adapters.reduce((sum, adapter) => sum + adapter.bytes, 0);
  if (bytes > MODEL_BUDGET_BYTES) throw overBudget("ModelOverBudget", `The model ${id}`, bytes, MODEL_BUDGET_BYTES);
  if (stack_bytes > STACK_BUDGET_BYTES) {
    throw overBudget("StackOverBudget", `The adapter stack of ${id}`, stack_bytes, STACK_BUDGET_BYTES);
  }
}

/**
 * @param {string} code
 * @param {string} what
 * @param {number} declared
 * @param {number} budget
 */
function overBudget(code, what, declared, budget) {
  const message = `${what} declares ${declared} bytes; at most ${budget} are allowed.`;
  return new PageError(code, message, { found: declared, expected: budget });
}

/** @param {PageError} error */
function refused({ code, message, detail }) {
  return new PageError(
    code,
    `The model registry is refused: ${message}. Restore models/selector.registry, or open a .slm file.`,
    detail,
  );
}
