// @ts-check
// A generation as an async iterator: tokens in, tokens out, in order. Leaving the loop early stops the generation.

/**
 * @template T, R
 * @implements {AsyncIterableIterator<T, R | undefined>}
 */
export class TokenStream {
  /** @type {T[]} */
  #waiting = [];
  /** @type {((step: IteratorResult<T, R | undefined>) => void) | null} */
  #taker = null;
  /** @type {Promise<IteratorResult<T, R | undefined>>} */
  #end;
  #ended = false;
  #leave;

  /**
   * @param {(push: (item: T) => void) => Promise<R>} run makes the items; its result ends the stream
   * @param {() => Promise<unknown>} leave called when the reader stops reading before the end
   */
  constructor(run, leave) {
    this.#leave = leave;
    const result = run((item) => this.#push(item));
    /** The end without the items: resolves when all were made, whether or not they are read. */
    this.result = result;
    this.#end = result.then((value) => ({ done: true, value }));
    this.#end.catch(() => undefined).then(() => {
      this.#ended = true;
      this.#taker?.(/** @type {any} */ (this.#end));
    });
  }

  /** @param {T} item */
  #push(item) {
    if (this.#taker === null) this.#waiting.push(item);
    else this.#taker({ done: false, value: item });
    this.#taker = null;
  }

  /** Forgets what was made and not yet read. */
  drop() {
    this.#waiting = [];
  }

  /** @returns {Promise<IteratorResult<T, R | undefined>>} */
  next() {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return this.#end;
    return new Promise((resolve) => {
      this.#taker = resolve;
    });
  }

  /** @returns {Promise<IteratorResult<T, R | undefined>>} */
  async return() {
    this.drop();
    await this.#leave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
