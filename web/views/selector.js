// @ts-check
// #model-select and #model-file: which models there are, and choosing one.

import { megabytes } from "../megabytes.js";
import { element } from "./element.js";

/** @typedef {import("../registry.js").ModelEntry} ModelEntry */

const NO_PARENT = "no parent";

/**
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 * @param {(work: Promise<unknown>) => void} settle
 */
export function mountSelector(store, actions, settle) {
  const select = element("model-select", HTMLSelectElement);
  const file = element("model-file", HTMLInputElement);
  select.addEventListener("change", () => {
    if (select.value !== "") settle(actions.load(select.value));
  });
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    if (chosen !== undefined) settle(actions.loadFile(chosen));
    file.value = "";
  });
  store.subscribe(({ models, modelId }) => {
    select.disabled = file.disabled = !store.allows("load");
    offer(select, models);
    select.value = modelId ?? "";
  });
}

/**
 * One option for each model, behind the placeholder; written again only when the registry was read.
 * @param {HTMLSelectElement} select
 * @param {readonly ModelEntry[]} models
 */
function offer(select, models) {
  if (select.options.length === models.length + 1) return;
  const placeholder = /** @type {HTMLOptionElement} */ (select.options[0]);
  const compared = models.filter(({ verdict }) => verdict !== NO_PARENT);
  const others = models.filter(({ verdict }) => verdict === NO_PARENT);
  select.replaceChildren(
    placeholder, ...others.map(option), ...group("Bred or adapted: against the best parent", compared));
}

/**
 * @param {string} label
 * @param {readonly ModelEntry[]} models
 */
function group(label, models) {
  if (models.length === 0) return [];
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...models.map(option));
  return [made];
}

/** @param {ModelEntry} model */
function option({ id, label, bytes, enabled, adapters, verdict }) {
  const stack = adapters.map(({ name }) => ` + ${name}`).join("");
  const notes = [...(verdict === NO_PARENT ? [] : [verdict]), ...(enabled ? [] : ["withdrawn"])];
  const made = new Option([`${label}${stack}`, megabytes(bytes), ...notes].join(" · "), id);
  made.disabled = !enabled;
  return made;
}
