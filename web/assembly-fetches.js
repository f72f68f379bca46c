// @ts-check
// The fetches of one assembly: those that its plan names, each once, in a bounded number of requests. A fetch that is
// not in the plan is refused before it is made.

import { REQUEST_ENVELOPE, componentsOf } from "./module-plan.js";
import { PageError } from "./page-error.js";

/**
 * @typedef {import("./module-plan.js").PlannedFetch} PlannedFetch
 * @typedef {import("./fetch-ledger.js").LedgerEntry} LedgerEntry
 */

/** As much as Python reads of a record or a ledger. */
const EVIDENCE_BUDGET_BYTES = 4_194_304;

/** Made once for the page, and counted in every assembly. */
const BEFORE = Object.freeze(["runtime-manifest", "registry"]);

/** @type {Readonly<import("./store.js").Figures>} where nothing is assembled */
export const NO_FETCHES = Object.freeze({
  module_plan_planned_fetch_count: null, module_plan_actual_fetch_count: null, module_request_count: null,
  planned_module_bytes: null, actual_module_bytes: null,
});

export class AssemblyFetches {
  #ledger;
  #base;
  /** @type {Map<string, PlannedFetch>} by component */
  #planned = new Map();
  /** @type {Set<string>} */
  #taken = new Set(["registry"]);
  #requests;
  #planned_fetch_count;

  /**
   * @param {import("./fetch-ledger.js").FetchLedger} ledger
   * @param {string} base address of the folder of models
   * @param {import("./registry.js").ModelEntry} entry
   */
  constructor(ledger, base, { plan, adapters }) {
    this.#ledger = ledger;
    this.#base = base;
    this.#planned_fetch_count = componentsOf(adapters.length).length;
    this.#planned.set("plan", { component: "plan", ...plan });
    this.#requests = BEFORE.reduce((sum, component) => sum + (ledger.last(component)?.requests ?? 0), 0);
  }

  /**
   * From here on, what the plan names may be fetched.
   * @param {readonly PlannedFetch[]} fetches
   * @throws {PageError} EvidenceOverBudget
   */
  allow(fetches) {
    const large = fetches.find(({ component, bytes }) => component !== "model" && (bytes ?? 0) > EVIDENCE_BUDGET_BYTES);
    if (large !== undefined) throw overBudget(large);
    for (const fetch of fetches) this.#planned.set(fetch.component, fetch);
  }

  /**
   * @param {string} component
   * @param {AbortSignal} signal
   */
  fetch(component, signal) {
    const { bytes, sha256 } = this.take(component);
    if (bytes === null) throw unplanned(component);
    const { beforeRequest } = this;
    return this.#ledger.fetchDeclared({ url: this.url(component), component, bytes, sha256, signal, beforeRequest });
  }

  /**
   * What the plan says of a component, which is thereby spoken for.
   * @param {string} component
   * @throws {PageError} FetchUnplanned
   */
  take(component) {
    const planned = this.#planned.get(component);
    if (planned === undefined || this.#taken.has(component)) throw unplanned(component);
    this.#taken.add(component);
    return planned;
  }

  /** @param {string} component */
  url(component) {
    const path = this.#planned.get(component)?.path;
    if (path === undefined) throw unplanned(component);
    const url = new URL(path, this.#base).href;
    if (!url.startsWith(this.#base)) {
      throw new PageError("PathOutsideModels", `${path} leads out of the folder of models`, { path });
    }
    return url;
  }

  /** Called before every request to the network. @throws {PageError} EnvelopeExceeded */
  beforeRequest = () => {
    if (this.#requests >= REQUEST_ENVELOPE) {
      throw new PageError(
        "EnvelopeExceeded",
        `This model has taken ${this.#requests} requests, with retries and resumed downloads; no more are made. Is the ` +
          "connection breaking off? Load it again.",
        { requests: this.#requests, expected: REQUEST_ENVELOPE },
      );
    }
    this.#requests += 1;
  };

  /** @returns {import("./store.js").Figures} */
  get figures() {
    const rows = [...this.#taken].map((component) => this.#ledger.last(component))
      .filter((row) => row?.outcome === "accepted");
    const declared = [...this.#planned.values()].reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    return {
      module_plan_planned_fetch_count: this.#planned_fetch_count,
      module_plan_actual_fetch_count: rows.length,
      module_request_count: this.#requests,
      planned_module_bytes: declared + (this.#ledger.last("registry")?.accepted_bytes ?? 0),
      actual_module_bytes: rows.reduce((sum, row) => sum + (row?.accepted_bytes ?? 0), 0),
    };
  }
}

/** @param {PlannedFetch} fetch */
function overBudget({ component, bytes }) {
  return new PageError(
    "EvidenceOverBudget",
    `the module plan declares ${bytes} bytes for ${component}, at most ${EVIDENCE_BUDGET_BYTES} are allowed`,
    { component, found: bytes, expected: EVIDENCE_BUDGET_BYTES },
  );
}

/** @param {string} component */
function unplanned(component) {
  return new PageError(
    "FetchUnplanned",
    `${component} is not, or not once more, among the fetches that the module plan names; it is not fetched.`,
    { component },
  );
}
