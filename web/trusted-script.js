// @ts-check
// Where workers may come from. Under the server's policy (Trusted Types) a Worker takes no plain text for an address;
// the only policy that the page may create vouches for these files beside this one, and for nothing else.

/**
 * @typedef {"worker.js" | "helper.js"} Script
 * @typedef {{createScriptURL: (name: string) => unknown}} Rules
 * @typedef {{createPolicy: (name: string, rules: Rules) => Rules}} Factory
 */

const SCRIPTS = Object.freeze(["worker.js", "helper.js"]);
const { trustedTypes } = /** @type {{trustedTypes?: Factory}} */ (globalThis); // older engines have none
const policy = trustedTypes?.createPolicy("tinypylm", { createScriptURL: address });

/**
 * What `new Worker` takes.
 * @param {Script} name
 */
export function trustedScript(name) {
  return /** @type {string} */ (policy?.createScriptURL(name) ?? address(name));
}

/** @param {string} name */
function address(name) {
  if (!SCRIPTS.includes(name)) throw new TypeError(`${name} is not one of the page's workers: ${SCRIPTS.join(", ")}`);
  return new URL(name, import.meta.url).href;
}
