// @ts-check
// The helper threads of one worker: started once, before any model, since a thread that computes cannot start others.

import { trustedScript } from "./trusted-script.js";

/** @param {number} count */
export async function startHelpers(count) {
  const helpers = await Promise.all(Array.from({ length: count }, (_, i) => started(i + 1)));
  /**
   * @param {WebAssembly.Module} module
   * @param {WebAssembly.Memory} memory
   */
  return (module, memory) => helpers.forEach((helper, i) => helper.postMessage({ module, memory, thread: i + 1 }));
}

/**
 * @param {number} number
 * @returns {Promise<Worker>}
 */
function started(number) {
  const helper = new Worker(trustedScript("helper.js"), { type: "module", name: `tinypylm-${number}` });
  return new Promise((resolve, reject) => {
    helper.addEventListener("message", () => resolve(helper), { once: true });
    helper.addEventListener("error", () => reject(new Error(`helper thread ${number} could not be started`)));
  });
}
