// @ts-check
// The helper threads of one worker: started once, before any model, since a thread that computes cannot start others.

import { PageError } from "./page-error.js";
import { trustedScript } from "./trusted-script.js";

const PATIENCE_MS = 10_000;

/**
 * @param {number} count
 * @param {string} lock beginning of the names of the Web Locks that they hold as long as they live
 * @param {(thread: number, lock: string) => void} onAlive
 */
export async function startHelpers(count, lock, onAlive) {
  const helpers = await Promise.all(Array.from({ length: count }, async (_, i) => {
    const name = `${lock}-${i + 1}`;
    const helper = await started(i + 1, name);
    onAlive(i + 1, name);
    return helper;
  }));
  /**
   * @param {WebAssembly.Module} module
   * @param {WebAssembly.Memory} memory
   */
  return (module, memory) => helpers.forEach((helper, i) => helper.postMessage({ module, memory, thread: i + 1 }));
}

/**
 * @param {number} number
 * @param {string} name
 * @returns {Promise<Worker>}
 */
function started(number, name) {
  const helper = new Worker(trustedScript("helper.js"), { type: "module", name });
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ reason) => reject(notStarted(number, reason));
    const patience = setTimeout(fail, PATIENCE_MS, `it did not answer within ${PATIENCE_MS / 1000} seconds`);
    helper.addEventListener("message", () => {
      clearTimeout(patience);
      resolve(helper);
    }, { once: true });
    helper.addEventListener("error", (event) => fail(event.message || "its script could not be loaded"));
  });
}

/**
 * @param {number} thread
 * @param {string} reason
 */
function notStarted(thread, reason) {
  const message = `Helper thread ${thread} could not be started: ${reason}.`;
  return new PageError("HelperLost", message, { thread });
}
