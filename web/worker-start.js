// @ts-check
// The page's workers. The first is started as soon as this module is there: index.html asks for it before all others,
// so that the worker comes up while they arrive.

import { trustedScript } from "./trusted-script.js";

/** @typedef {{worker: Worker, failed: Promise<string>}} Started `failed` says why its script could not be run */

/** @type {Started | null} */
let first = start();

/** @returns {Started} */
export function startWorker() {
  const started = first ?? start();
  first = null;
  return started;
}

/** @returns {Started} */
function start() {
  const worker = new Worker(trustedScript("worker.js"), { type: "module", name: "tinypylm" });
  const failed = new Promise((resolve) => {
    worker.addEventListener("error", (event) => resolve(event.message || "its script could not be loaded"));
  });
  return { worker, failed };
}
