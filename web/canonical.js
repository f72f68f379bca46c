// @ts-check
// Canonical JSON, as `tinypylm.canonical` has it: RFC 8785 without null and floats, keys of a-z 0-9 _, at most 16
// levels. A text that is not byte for byte what `canonicalText` writes of its value is refused.

/** @typedef {{[key: string]: Json} | Json[] | string | number | boolean} Json */
/** @typedef {{[key: string]: Json}} JsonObject */

const MAX_DEPTH = 16;
const KEY = /^[a-z0-9_]+$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The one text of `value`.
 * @param {Json} value
 * @returns {string}
 */
export function canonicalText(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const text = (/** @type {string} */ key) => `${JSON.stringify(key)}:${canonicalText(/** @type {Json} */ (value[key]))}`;
  return `{${Object.keys(value).sort().map(text).join(",")}}`;
}

/**
 * The value whose canonical text `bytes` are.
 * @param {ArrayBuffer} bytes
 * @returns {Json}
 * @throws {SyntaxError} that names the rule
 */
export function parseCanonical(bytes) {
  const text = decoded(bytes);
  const value = JSON.parse(text);
  checkProfile(value, 1);
  if (canonicalText(value) !== text) throw new SyntaxError("the text is not in canonical form");
  return value;
}

/** @param {ArrayBuffer} bytes */
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SyntaxError("the text is not UTF-8");
  }
}

/**
 * @param {any} value
 * @param {number} depth
 */
function checkProfile(value, depth) {
  if (typeof value === "string") {
    if (LONE_SURROGATE.test(value)) throw new SyntaxError("a string holds a lone surrogate");
  } else if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new SyntaxError(`${value} is not an integer within 2^53 - 1`);
  } else if (typeof value === "object") {
    checkMembers(value, depth);
  }
}

/**
 * @param {any} value an object, an array, or null
 * @param {number} depth
 */
function checkMembers(value, depth) {
  if (value === null) throw new SyntaxError("null has no place here");
  if (depth > MAX_DEPTH) throw new SyntaxError(`more than ${MAX_DEPTH} levels deep`);
  const bad = Array.isArray(value) ? undefined : Object.keys(value).find((key) => !KEY.test(key));
  if (bad !== undefined) throw new SyntaxError(`the key ${JSON.stringify(bad.slice(0, 80))} is not of a-z 0-9 _`);
  for (const member of Object.values(value)) checkProfile(member, depth + 1);
}
