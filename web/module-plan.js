// @ts-check
// The plan of one assembly: every file that is fetched for an entry, pinned by size and digest, and the phases in which
// they are verified. A plan says exactly what the entry's stack makes necessary, in one order; any other is refused.

import { PageError } from "./page-error.js";
import { PATH } from "./registry.js";
import { NAME, SHA256, SIZE, choice, head, integer, listOf, loadRecord, record, variants } from "./schema.js";

export const REQUEST_ENVELOPE = 32;

const STACK_MOST = 2;
const PHASES = Object.freeze([
  "load-model-bytes", "verify-model-manifest", "verify-assembly-evidence", "verify-adapter-family",
  "apply-adapter-stack-0", "apply-adapter-stack-1",
]);
const EVIDENCE = Object.freeze(["compatibility", "lineage", "receipt", "candidate", "evaluation", "promotion", "admission"]);
const ADAPTER_PARTS = Object.freeze(["manifest", "receipt", "evaluation", "package"]);

/**
 * @typedef {import("./registry.js").ModelEntry} ModelEntry
 * @typedef {{component: string, path: string, bytes: number | null, sha256: string | null}} PlannedFetch what nothing
 *   pins is null
 * @typedef {{planned_fetch_count: number, fetches: readonly PlannedFetch[], phases: readonly string[]}} ModulePlan
 */

const FETCH = variants("pinned_by", {
  page: record({ component: choice("registry"), path: PATH, pinned_by: choice("page") }),
  registry: record({ component: choice("plan", "ledger"), path: PATH, pinned_by: choice("registry") }),
  plan: record({ component: NAME, path: PATH, pinned_by: choice("plan"), bytes: SIZE, sha256: SHA256 }),
});
const MODULE_PLAN = record({
  ...head("module-plan"),
  name: NAME,
  planned_fetch_count: integer(1, REQUEST_ENVELOPE),
  fetches: listOf(FETCH, 1, REQUEST_ENVELOPE),
  phases: listOf(record({ phase: choice(...PHASES), components: listOf(NAME, 0, REQUEST_ENVELOPE) }), 4, PHASES.length),
});

/**
 * The plan in `bytes`, if it is exactly the one that this entry needs.
 * @param {ArrayBuffer} bytes
 * @param {ModelEntry} entry
 * @param {import("./registry.js").LedgerPin} ledger
 * @returns {ModulePlan}
 * @throws {PageError} PlanFetchCount, PlanOrder, PathOutsideModels, or the code of a record's rule
 */
export function parsePlan(bytes, entry, ledger) {
  const { name, planned_fetch_count, fetches, phases } = loadRecord(bytes, "module-plan", MODULE_PLAN);
  checkCount(planned_fetch_count, fetches, entry.adapters.length);
  if (name !== entry.id) throw disorder(`it is the plan of ${name}, expected ${entry.id}`);
  checkOrder(fetches, entry);
  checkPhases(phases, entry.adapters.length);
  return Object.freeze({
    planned_fetch_count,
    fetches: fetches.map((/** @type {any} */ fetch) => pinned(fetch, entry, ledger)),
    phases: phases.map((/** @type {any} */ { phase }) => phase),
  });
}

/**
 * Every planned fetch of an assembly with `stack` adapters, in order: 12, 17 or 21.
 * @param {number} stack
 */
export function componentsOf(stack) {
  const adapters = Array.from({ length: stack }, (_, i) => ADAPTER_PARTS.map((part) => `adapter-${i}-${part}`)).flat();
  return ["registry", "plan", "manifest", "model", ...EVIDENCE, "ledger", ...(stack > 0 ? ["family"] : []), ...adapters];
}

export const PLAN_PHASE = "verify-module-plan";

/**
 * The phase that verifies a component; registry and plan come before all of them.
 * @param {string} component
 */
export function phaseOf(component) {
  return phasesOf(STACK_MOST).find(([, components]) => components.includes(component))?.[0] ?? PLAN_PHASE;
}

/**
 * @param {number} stack
 * @returns {[phase: string, components: string[]][]}
 */
function phasesOf(stack) {
  const [model = "", manifest = "", evidence = "", family = "", ...adapters] = PHASES;
  return [
    [model, ["model"]], [manifest, ["manifest"]], [evidence, [...EVIDENCE, "ledger"]],
    [family, stack > 0 ? ["family"] : []],
    ...adapters.slice(0, stack).map((phase, i) => /** @type {[string, string[]]} */ (
      [phase, ADAPTER_PARTS.map((part) => `adapter-${i}-${part}`)])),
  ];
}

/**
 * @param {number} planned
 * @param {any[]} fetches
 * @param {number} stack
 */
function checkCount(planned, fetches, stack) {
  const expected = componentsOf(stack).length;
  if (planned === expected && fetches.length === expected) return;
  throw new PageError(
    "PlanFetchCount",
    `the module plan says ${planned} fetches and lists ${fetches.length}, expected ${expected} for ${stack} adapters`,
    { found: planned, expected },
  );
}

/**
 * @param {any[]} fetches
 * @param {ModelEntry} entry
 */
function checkOrder(fetches, entry) {
  componentsOf(entry.adapters.length).forEach((expected, index) => {
    const { component, path, pinned_by, bytes, sha256 } = fetches[index];
    if (component !== expected) throw disorder(`fetch ${index} is ${component}, expected ${expected}`);
    if (pinned_by !== pinnerOf(component)) throw disorder(`${component} is pinned by ${pinned_by}`);
    const declared = declaredFor(component, entry);
    if (path !== (declared.path ?? path)) throw disorder(`${component} is ${path}, expected ${declared.path}`);
    if (declared.sha256 !== undefined && (bytes !== declared.bytes || sha256 !== declared.sha256)) {
      throw disorder(`${component} has other bytes than the registry's`);
    }
  });
}

/** @param {string} component */
function pinnerOf(component) {
  if (component === "registry") return "page";
  return ["plan", "ledger"].includes(component) ? "registry" : "plan";
}

/**
 * What is known of a component without the plan.
 * @param {string} component
 * @param {ModelEntry} entry
 * @returns {{path?: string, bytes?: number, sha256?: string}}
 */
function declaredFor(component, { id, file, bytes, sha256, adapters }) {
  if (component === "registry") return { path: "selector.registry" };
  if (component === "ledger") return { path: "population.ledger" };
  if (component === "model") return { path: file, bytes, sha256 };
  if (["plan", "manifest", ...EVIDENCE].includes(component)) return { path: `evidence/${id}/${component}.json` };
  const adapter = adapters[Number(/^adapter-([01])-package$/.exec(component)?.[1])];
  return adapter === undefined ? {} : { path: `adapters/${adapter.file}`, bytes: adapter.bytes, sha256: adapter.sha256 };
}

/**
 * @param {any[]} phases
 * @param {number} stack
 */
function checkPhases(phases, stack) {
  const found = JSON.stringify(phases.map(({ phase, components }) => [phase, components]));
  if (found !== JSON.stringify(phasesOf(stack))) throw disorder(`its phases are not those of ${stack} adapters`);
}

/**
 * @param {any} fetch
 * @param {ModelEntry} entry
 * @param {import("./registry.js").LedgerPin} ledger
 * @returns {PlannedFetch}
 */
function pinned({ component, path, bytes, sha256 }, entry, ledger) {
  if (component === "registry") return Object.freeze({ component, path, bytes: null, sha256: null });
  if (component === "ledger") return Object.freeze({ component, path, bytes: ledger.bytes, sha256: null });
  return Object.freeze(component === "plan" ? { component, ...entry.plan } : { component, path, bytes, sha256 });
}

/** @param {string} reason */
function disorder(reason) {
  return new PageError("PlanOrder", `the module plan is not that of its entry: ${reason}`);
}
