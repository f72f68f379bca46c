// @ts-check
// Work that can wait for a moment in which nobody waits.

const REST_MS = 1000;
/** @type {ReadonlyArray<import("./store.js").State>} */
const AT_REST = Object.freeze(["ready", "model-ready", "context-ready", "model-rejected", "assembly-rejected"]);

/**
 * Calls `work` whenever the page has been in one state, without work of its own, for a second.
 * @param {import("./store.js").Store} store
 * @param {() => void} work
 */
export function whenAtRest(store, work) {
  /** @type {import("./store.js").State | null} */
  let last = null;
  let timer = 0;
  store.subscribe(({ state }) => {
    if (state === last) return;
    last = state;
    clearTimeout(timer);
    if (AT_REST.includes(state)) timer = setTimeout(work, REST_MS);
  });
}
