// @ts-check
// SHA-256, by the browser. It may take as long as it takes to read the bytes, so large ones are hashed in a worker.

import { PageError } from "./page-error.js";

/** False on an address that is neither https nor this machine. */
export function canHash() {
  return globalThis.crypto?.subtle !== undefined;
}

/**
 * Lower-case hexadecimal SHA-256 of `data`.
 * @param {BufferSource} data
 */
export async function sha256Of(data) {
  if (!canHash()) {
    throw new PageError(
      "InsecureContext",
      "This page cannot compute SHA-256, because its address is neither https nor this machine. " +
        "Open it as http://127.0.0.1 or over https.",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} what
 * @param {string} found
 * @param {string} expected
 */
export function digestMismatch(what, found, expected) {
  return new PageError(
    "DigestMismatch",
    `${what} has the SHA-256 ${found}, expected ${expected}: it was altered. Restore the file, or choose another model.`,
    { found, expected },
  );
}
