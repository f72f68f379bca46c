// @ts-check
// The one error of the page, and as TinyPyLMError of tinypylm.js. Errors of the runtime cross the worker as {code,
// message, detail} and become this too.

/** @typedef {{code: string, message: string, detail?: Record<string, unknown>}} Failure */

export class PageError extends Error {
  /**
   * @param {string} code stable, one for each rule
   * @param {string} message what was found, what was expected, what to try
   * @param {Record<string, unknown>} [detail]
   */
  constructor(code, message, detail = {}) {
    super(message);
    this.name = "TinyPyLMError";
    this.code = code;
    this.detail = detail;
  }

  /** What crosses the worker. @returns {Failure} */
  get failure() {
    return { code: this.code, message: this.message, detail: this.detail };
  }

  /** @param {Failure} failure */
  static from({ code, message, detail }) {
    return new PageError(code, message, detail);
  }
}
