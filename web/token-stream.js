// @ts-check
// A generation as an async iterator: tokens in, tokens out, in order. Leaving the loop early stops the generation.

/**
 * @template T, R
 * @implements {AsyncIterableIterator<T, R | undefined>}
 */
export class TokenStream {
  /** @type {T[]} */
  #waiting = [];
  /** @type {((step: IteratorResult<T, R | undefined> | Promise<IteratorResult<T, R | undefined>>) => void)[]} */
  #takers = [];
  /** @type {Promise<IteratorResult<T, R | undefined>>} */
  #end;
  #ended = false;
  #left = false;
  #leave;
  #check;

  /**
   * @param {(push: (item: T) => void) => Promise<R>} run makes the items; its result ends the stream
   * @param {() => Promise<unknown>} leave called when the reader stops reading before all were made
   * @param {() => void} check throws where what was made is no longer wanted
   */
  constructor(run, leave, check) {
    this.#leave = leave;
    this.#check = check;
    const result = run((item) => this.#push(item));
    /** The end without the items: resolves when all were made, whether or not they are read. */
    this.result = result;
    this.#end = result.finally(() => this.#close()).then((value) => ({ done: true, value }));
    this.#end.catch(() => undefined); // whoever asks for it meets it
  }

  #close() {
    this.#ended = true;
    for (const take of this.#takers.splice(0)) take(this.#end);
  }

  /** @param {T} item */
  #push(item) {
    if (this.#left) return;
    const take = this.#takers.shift();
    if (take === undefined) this.#waiting.push(item);
    else take({ done: false, value: item });
  }

  /** Forgets what was made and not yet read. */
  drop() {
    this.#waiting = [];
  }

  /** @returns {Promise<IteratorResult<T, R | undefined>>} */
  async next() {
    if (this.#left) return { done: true, value: undefined };
    if (this.#ended) this.#check();
    const value = this.#waiting.shift();
    if (value !== undefined) return { done: false, value };
    return this.#ended ? this.#end : new Promise((resolve) => void this.#takers.push(resolve));
  }

  /** @returns {Promise<IteratorResult<T, R | undefined>>} */
  async return() {
    this.#left = true;
    this.drop();
    if (!this.#ended) await this.#leave(); // what runs by now may be another one
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
