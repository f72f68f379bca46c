// @ts-check
// The files in vendor/ that Python starts from. Each is compared with the runtime manifest while it is used, so that
// nothing waits for it; whoever starts Python asks at the end whether all of them agreed.

import { canHash } from "./digest.js";
import { PageError } from "./page-error.js";
import { verifyLoaded, verifyResponse } from "./runtime-manifest.js";

/**
 * Without which browsers neither compile nor run a file; all others are read as bytes.
 * @type {Readonly<Record<string, {expected: string, allowed: RegExp}>>} by the end of the name
 */
const MEDIA_TYPES = Object.freeze({
  ".wasm": { expected: "application/wasm", allowed: /^application\/wasm$/i },
  ".mjs": { expected: "text/javascript", allowed: /^(?:text|application)\/(?:x-)?(?:java|ecma)script *(?:;|$)/i },
});

export class Vendored {
  #address;
  #digests;
  /** @type {Map<string, Promise<void>>} by path */
  #checks = new Map();

  /**
   * @param {string} address of vendor/, with a slash at its end
   * @param {import("./runtime-manifest.js").RuntimeManifest} manifest
   */
  constructor(address, { runtime_wheel, vendor }) {
    this.#address = address;
    this.#digests = vendor;
    this.runtime_wheel = runtime_wheel;
    /** The path of Python's memory, started by the server's set-up, where that could be done. */
    this.snapshot = Object.keys(vendor).find((path) => path.endsWith(".snapshot")) ?? null;
  }

  /** SHA-256 of every file, by path: what a snapshot is named by. */
  get digests() {
    return this.#digests;
  }

  /** @param {string} path */
  url(path) {
    return this.#address + path;
  }

  /**
   * @param {string} path
   * @returns {Promise<Response>}
   */
  async fetch(path) {
    const response = await fetch(this.url(path));
    if (!response.ok) throw new Error(`${response.url} was answered with status ${response.status}; run serve.py again`);
    checkMediaType(response, path);
    if (canHash()) this.#begin(path, verifyResponse(response.clone(), `vendor/${path}`, this.#digests[path]));
    return response;
  }

  /**
   * A module; its bytes are looked at behind the import, in the browser's cache.
   * @param {string} path
   */
  async import(path) {
    try {
      return await import(this.url(path));
    } catch (error) {
      checkMediaType(await fetch(this.url(path)), path); // all that an import says is that it failed
      throw error;
    } finally {
      if (canHash()) this.#begin(path, verifyLoaded(this.url(path), `vendor/${path}`, this.#digests[path] ?? ""));
    }
  }

  /** Resolves when every file so far was compared. @throws {import("./page-error.js").PageError} ManifestDrift */
  async agreed() {
    await Promise.all(this.#checks.values());
  }

  /**
   * @param {string} path
   * @param {Promise<void>} check
   */
  #begin(path, check) {
    check.catch(() => undefined); // `agreed` meets it
    this.#checks.set(path, check);
  }
}

/**
 * @param {Response} response
 * @param {string} path
 * @throws {PageError} MediaTypeWrong
 */
function checkMediaType({ headers, url }, path) {
  const suffix = path.slice(path.lastIndexOf("."));
  const rule = MEDIA_TYPES[suffix];
  const found = headers.get("Content-Type") ?? "none";
  if (rule === undefined || rule.allowed.test(found)) return;
  const { expected } = rule;
  throw new PageError(
    "MediaTypeWrong",
    `${url} came with the media type ${found}, expected ${expected}: browsers run it with no other. Have the host send ` +
      `${suffix} files as ${expected}, then reload this page.`,
    { url, found, expected },
  );
}
