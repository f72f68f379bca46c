// @ts-check
// The start of Python in its worker, and whether what the page runs is what the runtime manifest names.

import { PageError } from "./page-error.js";
import { MANIFEST_BUDGET_BYTES, parseManifest, verifyPage } from "./runtime-manifest.js";

const DRIFTS = Object.freeze(["ManifestDrift", "ManifestInvalid", "FetchOverrun"]);

/**
 * `booted` resolves when a model can be loaded; `verified`, earlier as a rule, when one may be asked for.
 * @typedef {{booted: Promise<any>, verified: Promise<void>}} Start
 */

/**
 * @param {import("./client.js").Client} worker
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {string} base address that everything is relative to
 * @returns {Start}
 */
export function startRuntime(worker, ledger, base) {
  const vendor = new URL("vendor/", base);
  const manifest = readManifest(ledger, new URL("manifest.json", vendor).href);
  const page = manifest.then((known) => verifyPage(known, base));
  const facts = manifest.then((known) => worker.boot(vendor, known, true));
  const verified = Promise.all([page, Promise.race([worker.verified, facts])]).then(() => undefined);
  return { booted: Promise.race([outcome(facts, [page, verified, facts]), drifting([page, verified])]), verified };
}

/**
 * Where the browser cannot hash, Python starts all the same: files from this device can be opened.
 * @param {Promise<any>} facts
 * @param {Promise<unknown>[]} parts
 */
async function outcome(facts, parts) {
  const settled = await Promise.allSettled(parts);
  const failures = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  const failure = failures.find(isDrift) ?? failures.find((error) => error?.code !== "InsecureContext");
  if (failure !== undefined) throw failure;
  return facts;
}

/**
 * Rejects at the first file that is not the manifest's, whatever else is still under way or has failed for that reason.
 * @param {Promise<void>[]} checks
 * @returns {Promise<never>}
 */
async function drifting(checks) {
  try {
    await Promise.all(checks);
  } catch (error) {
    if (isDrift(error)) throw error;
  }
  return new Promise(() => undefined);
}

/** @param {unknown} error */
export function isDrift(error) {
  return error instanceof PageError && DRIFTS.includes(error.code);
}

/**
 * @param {import("./fetch-ledger.js").FetchLedger} ledger
 * @param {string} url
 */
async function readManifest(ledger, url) {
  return parseManifest(await ledger.fetchBytes(url, "runtime-manifest", MANIFEST_BUDGET_BYTES));
}
