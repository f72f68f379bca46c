// @ts-check
// Python's door as functions of JSON and bytes; nothing that Python owns is left behind by a call.

import { sha256Of } from "./digest.js";

/** @typedef {import("./interpreter.js").Pyodide} Pyodide */

export class Python {
  #pyodide;
  #door;

  /**
   * @param {Pyodide} pyodide
   * @param {any} app the runtime's App
   */
  constructor(pyodide, app) {
    this.#pyodide = pyodide;
    this.#door = app.request;
  }

  /**
   * @param {string} method
   * @param {object} params
   * @param {PythonBytes} [data]
   * @returns {{result?: any, error?: import("./page-error.js").Failure}}
   */
  request(method, params, data) {
    const text = JSON.stringify(params);
    return JSON.parse(data === undefined ? this.#door(method, text) : this.#door(method, text, data.object));
  }

  /**
   * `parts`, one after the other, in Python's memory: of the two copies that a model's bytes go through on their way
   * into the engine, the first.
   * @param {ArrayBuffer[]} parts
   */
  bytesOf(parts) {
    const total_bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const bytes = new PythonBytes(this.#pyodide.globals.get("bytearray")(total_bytes));
    bytes.fill(parts);
    return bytes;
  }
}

/** A bytearray of Python's that JavaScript can see; it has to be freed. */
export class PythonBytes {
  #buffer;

  /** @param {any} object */
  constructor(object) {
    this.object = object;
    this.#buffer = object.getBuffer("u8");
  }

  /** @param {ArrayBuffer[]} parts */
  fill(parts) {
    let at = 0;
    for (const part of parts) {
      this.#buffer.data.set(new Uint8Array(part), at);
      at += part.byteLength;
    }
  }

  get length() {
    return this.#buffer.data.length;
  }

  /** @param {number} at where it begins */
  sha256(at) {
    return sha256Of(this.#buffer.data.subarray(at));
  }

  free() {
    this.#buffer.release();
    this.object.destroy();
  }
}
