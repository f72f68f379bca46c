// @ts-check
// What the page runs, file by file, in vendor/manifest.json. The page compares its own scripts with it, the worker the
// files that Python starts from; nothing of a model is asked for before both agree.

import { canonicalText, parseCanonical } from "./canonical.js";
import { canHash, sha256Of } from "./digest.js";
import { PageError } from "./page-error.js";
import { release } from "./release.js";

export const MANIFEST_BUDGET_BYTES = 65_536;

const DOMAIN = "slm/runtime-manifest/v1\n";
const VENDORED = "vendor/";
const FIELDS = "checksum files kind micropip_wheel runtime_wheel version";
const FILE_FIELDS = "bytes path sha256";
const PATH = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]*\/)*[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * @typedef {Readonly<Record<string, string>>} Digests SHA-256 by path
 * @typedef {{checksum: string, runtime_wheel: string, page: Digests, vendor: Digests}} RuntimeManifest paths of `vendor`
 *   are relative to vendor/
 */

/**
 * Where the browser cannot hash, its checksum is left alone: then no registered model can be loaded either.
 * @param {ArrayBuffer} bytes
 * @returns {Promise<RuntimeManifest>}
 * @throws {PageError} ManifestInvalid, ManifestDrift
 */
export async function parseManifest(bytes) {
  const { checksum, ...rest } = checkedShape(bytes);
  if (canHash()) {
    const found = await sha256Of(new TextEncoder().encode(DOMAIN + canonicalText(rest)));
    if (found !== checksum) throw drift("vendor/manifest.json", found, checksum);
  }
  const { files, runtime_wheel } = rest;
  return Object.freeze({ checksum, runtime_wheel, page: digests(files, ""), vendor: digests(files, VENDORED) });
}

/**
 * Compares every script and style of the page with the manifest.
 * @param {RuntimeManifest} manifest
 * @param {string} base address that the paths are relative to
 */
export async function verifyPage({ page }, base) {
  await Promise.all(Object.entries(page).map(([path, sha256]) => verifyLoaded(new URL(path, base).href, path, sha256)));
}

/**
 * Compares a file that the browser has loaded by itself: its bytes are in the browser's cache. Where another copy is
 * there, one of an earlier visit perhaps, the server's decides.
 * @param {string} url
 * @param {string} path
 * @param {string} expected
 * @throws {PageError} ManifestDrift
 */
export async function verifyLoaded(url, path, expected) {
  if (await digestOf(url, "force-cache") === expected) return;
  const found = await digestOf(url, "reload");
  if (found !== expected) throw drift(path, found, expected);
}

/**
 * Compares the bytes of a response that is also used otherwise.
 * @param {Response} copy
 * @param {string} path
 * @param {string | undefined} expected
 * @throws {PageError} ManifestDrift
 */
export async function verifyResponse(copy, path, expected) {
  const found = await digestOfRest(copy);
  if (found !== expected) throw drift(path, found, expected ?? "nothing of this name");
}

/**
 * @param {string} url
 * @param {RequestCache} cache
 */
async function digestOf(url, cache) {
  let response;
  try {
    response = await fetch(url, { cache, credentials: "same-origin" });
  } catch (error) {
    throw new PageError("FetchFailed", `${url} could not be fetched (${error}). Is the server still running?`, { url });
  }
  return response.ok ? digestOfRest(response) : `status ${response.status}`;
}

/**
 * Of bytes that nobody reads afterwards; those of Python are as many as a model's.
 * @param {Response} response
 */
async function digestOfRest(response) {
  const bytes = await response.arrayBuffer();
  try {
    return await sha256Of(bytes);
  } finally {
    release(bytes);
  }
}

/** @param {ArrayBuffer} bytes */
function checkedShape(bytes) {
  /** @type {any} */
  let manifest;
  try {
    manifest = parseCanonical(bytes);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
  if (!hasFields(manifest, FIELDS)) throw invalid(`its fields are not ${FIELDS}`);
  if (manifest.kind !== "runtime-manifest" || manifest.version !== 1) throw invalid("it is of another kind or version");
  if (!SHA256.test(manifest.checksum)) throw invalid("its checksum is not 64 hexadecimal digits");
  if (!Array.isArray(manifest.files) || !manifest.files.every(isFile)) throw invalid("an entry of files is malformed");
  const paths = manifest.files.map((/** @type {any} */ file) => file.path);
  if (new Set(paths).size !== paths.length) throw invalid("a path is there twice");
  if (!paths.includes(VENDORED + manifest.runtime_wheel)) throw invalid("the runtime's wheel is not among its files");
  return manifest;
}

/** @param {any} file */
function isFile(file) {
  return hasFields(file, FILE_FIELDS) && Number.isSafeInteger(file.bytes) && file.bytes >= 0 &&
    typeof file.path === "string" && PATH.test(file.path) && SHA256.test(file.sha256);
}

/**
 * @param {any} value
 * @param {string} fields in order, with spaces between
 */
function hasFields(value, fields) {
  return typeof value === "object" && !Array.isArray(value) && Object.keys(value).sort().join(" ") === fields;
}

/**
 * Of the vendored files under their names in vendor/, or of all others.
 * @param {{path: string, sha256: string}[]} files
 * @param {string} folder
 */
function digests(files, folder) {
  const chosen = files.filter(({ path }) => path.startsWith(VENDORED) === (folder === VENDORED));
  return Object.freeze(Object.fromEntries(chosen.map(({ path, sha256 }) => [path.slice(folder.length), sha256])));
}

/**
 * @param {string} path
 * @param {string} found
 * @param {string} expected
 */
function drift(path, found, expected) {
  return new PageError(
    "ManifestDrift",
    `${path} is not the file that the runtime manifest names: found ${found}, expected ${expected}. No model is asked ` +
      "for. Start serve.py again, then reload this page.",
    { path, found, expected },
  );
}

/** @param {string} reason */
function invalid(reason) {
  return new PageError(
    "ManifestInvalid",
    `The runtime manifest, vendor/manifest.json, is refused: ${reason}. Start serve.py again, then reload this page.`,
  );
}
