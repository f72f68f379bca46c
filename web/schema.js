// @ts-check
// Closed shapes for JSON values, as `tinypylm.provenance.schema` has them: the same rules in the same order, so that a
// record gets one verdict and one code wherever it is read.

import { parseCanonical } from "./canonical.js";
import { PageError } from "./page-error.js";

/** @typedef {(value: any, path: string) => void} Rule nothing, or a PageError that names the place */

const RECORD_CAP_BYTES = 4_194_304;
const SHOWN_CHARACTERS = 80;

/**
 * A string that matches all of `pattern`; `words` says so to a reader, `code` is that of one that does not.
 * @param {RegExp} pattern
 * @param {string} words
 * @param {string} [code]
 * @returns {Rule}
 */
export function text(pattern, words, code) {
  return (value, path) => {
    if (typeof value !== "string") throw badValue(path, value, words);
    if (!pattern.test(value)) throw badValue(path, value, words, code);
  };
}

/**
 * @param {...string} words
 * @returns {Rule}
 */
export function choice(...words) {
  return (value, path) => {
    if (!words.includes(value)) throw badValue(path, value, `one of ${words.join(", ")}`);
  };
}

/**
 * @param {number} least
 * @param {number} [most]
 * @returns {Rule}
 */
export function integer(least, most = Number.MAX_SAFE_INTEGER) {
  return (value, path) => {
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw badValue(path, value, `an integer from ${least} to ${most}`);
    }
  };
}

/** @type {Rule} */
export function boolean(value, path) {
  if (typeof value !== "boolean") throw badValue(path, value, "true or false");
}

/**
 * @param {Rule} rule
 * @param {number} least
 * @param {number} most
 * @returns {Rule}
 */
export function listOf(rule, least, most) {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      throw badValue(path, Array.isArray(value) ? `${value.length} values` : value, `a list of ${least} to ${most}`);
    }
    value.forEach((item, index) => rule(item, `${path}[${index}]`));
  };
}

/**
 * An object with exactly `keys`, and of `optional` what it likes.
 * @param {Readonly<Record<string, Rule>>} keys
 * @param {Readonly<Record<string, Rule>>} [optional]
 * @returns {Rule}
 */
export function record(keys, optional = {}) {
  const known = { ...keys, ...optional };
  return (value, path) => {
    if (!isObject(value)) throw badValue(path, value, "an object");
    const unknown = Object.keys(value).find((key) => !Object.hasOwn(known, key));
    if (unknown !== undefined) throw unknownKey(path, unknown, known);
    for (const [key, rule] of Object.entries(known)) {
      if (Object.hasOwn(value, key)) rule(value[key], path === "" ? key : `${path}.${key}`);
      else if (Object.hasOwn(keys, key)) throw missingKey(path, key);
    }
  };
}

/**
 * An object whose string `key` chooses the rule that all of it keeps.
 * @param {string} key
 * @param {Readonly<Record<string, Rule>>} rules
 * @returns {Rule}
 */
export function variants(key, rules) {
  const names = choice(...Object.keys(rules));
  return (value, path) => {
    if (!isObject(value)) throw badValue(path, value, "an object");
    if (!Object.hasOwn(value, key)) throw missingKey(path, key);
    names(value[key], path === "" ? key : `${path}.${key}`);
    rules[value[key]]?.(value, path);
  };
}

export const SHA256 = text(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits");
export const F32_BITS = text(/^[0-9a-f]{8}$/, "the 8 hexadecimal digits of an f32's bits");
export const NAME = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "1 to 64 of A-Z a-z 0-9 . _ -, not starting with . _ -");
export const LINE = text(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}$/u, "1 to 200 characters on one line");
export const SIZE = integer(1);

/** @param {string} kind */
export function head(kind) {
  return { kind: choice(kind), version: integer(1, 1) };
}

/**
 * The body of a record's file.
 * @param {ArrayBuffer} bytes
 * @param {string} kind
 * @param {Rule} rule
 * @returns {any}
 * @throws {PageError} RecordNotCanonical, RecordKind, RecordVersion, RecordUnknownKey, RecordMissingKey, RecordValue
 */
export function loadRecord(bytes, kind, rule) {
  const body = parsed(bytes, kind);
  if (!isObject(body)) throw badValue("", body, "an object");
  if (body.kind !== kind) throw refused("RecordKind", `its kind is ${shown(body.kind)}, expected ${kind}`, "kind");
  if (body.version !== 1) throw refused("RecordVersion", `its version is ${shown(body.version)}, not 1`, "version");
  rule(body, "");
  return body;
}

/**
 * @param {ArrayBuffer} bytes
 * @param {string} kind
 * @returns {any}
 */
function parsed(bytes, kind) {
  try {
    if (bytes.byteLength > RECORD_CAP_BYTES) throw new SyntaxError(`more than ${RECORD_CAP_BYTES} bytes`);
    return parseCanonical(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw refused("RecordNotCanonical", `the ${kind} record is not canonical JSON: ${reason}`, "");
  }
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function shown(value) {
  return (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_CHARACTERS);
}

/**
 * @param {string} path
 * @param {unknown} found
 * @param {string} expected
 * @param {string} [code]
 */
function badValue(path, found, expected, code = "RecordValue") {
  return refused(code, `${path || "the record"} is ${shown(found)}, expected ${expected}`, path);
}

/**
 * @param {string} path
 * @param {string} key
 * @param {object} known
 */
function unknownKey(path, key, known) {
  const expected = Object.keys(known).sort().join(", ");
  return refused("RecordUnknownKey", `${path || "the record"} has the key ${shown(key)}; expected ${expected}`, path);
}

/**
 * @param {string} path
 * @param {string} key
 */
function missingKey(path, key) {
  return refused("RecordMissingKey", `${path || "the record"} lacks the key "${key}"`, path);
}

/**
 * @param {string} code
 * @param {string} message
 * @param {string} path
 */
function refused(code, message, path) {
  return new PageError(code, message, { path });
}
