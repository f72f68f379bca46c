// @ts-check
// Python's door as functions of JSON and bytes; nothing that Python owns is left behind by a call.

/** @typedef {import("./interpreter.js").Pyodide} Pyodide */
/** @typedef {{readonly object: any}} Given something of Python's that stands for bytes */

export class Python {
  #pyodide;
  #door;
  #OutsideFile;

  /**
   * @param {Pyodide} pyodide
   * @param {any} app the runtime's App
   * @param {any} OutsideFile the runtime's class for a file that stays in JavaScript's memory
   */
  constructor(pyodide, app, OutsideFile) {
    this.#pyodide = pyodide;
    this.#door = app.request;
    this.#OutsideFile = OutsideFile;
  }

  /**
   * @param {string} method
   * @param {object} params
   * @param {Given[]} data
   * @returns {{result?: any, error?: import("./page-error.js").Failure}}
   */
  request(method, params, ...data) {
    return JSON.parse(this.#door(method, JSON.stringify(params), ...data.map(({ object }) => object)));
  }

  /**
   * `parts`, one after the other, in Python's memory.
   * @param {ArrayBuffer[]} parts
   */
  bytesOf(parts) {
    const total_bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const bytes = new PythonBytes(this.#pyodide.globals.get("bytearray")(total_bytes));
    bytes.fill(parts);
    return bytes;
  }

  /**
   * A model's file where it lies: Python reads it in pieces, and it is copied once, into the engine's memory.
   * @param {ArrayBuffer} file
   */
  fileOf(file) {
    const object = this.#OutsideFile(new Uint8Array(file));
    return { object, free: () => object.destroy() };
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

  free() {
    this.#buffer.release();
    this.object.destroy();
  }
}
