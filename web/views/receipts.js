// @ts-check
// The receipt of the last recorded generation as a file, and the verdict on one that is replayed.

import { element } from "./element.js";

const CAP_BYTES = 4_194_304;
const FILE_NAME = "tinypylm-receipt.json";

/**
 * @param {import("../store.js").Store} store
 * @param {import("../actions.js").Actions} actions
 * @param {(work: Promise<unknown>) => void} settle
 */
export function mountReceipts(store, actions, settle) {
  const save = element("save-receipt", HTMLButtonElement);
  const file = element("replay-file", HTMLInputElement);
  const verdict = element("replay-verdict", HTMLOutputElement);
  save.addEventListener("click", () => download(actions.receipt));
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (chosen !== undefined) settle(replay(chosen));
    file.value = ""; // so that the same file can be chosen again
  });

  /** @param {File} receipt */
  async function replay(receipt) {
    store.update({ verdict: null }); // at once: the last one is not of this receipt
    return actions.replay(await actions.read(receipt, CAP_BYTES + 1)); // of what is longer, the runtime refuses any part that is
  }

  store.subscribe((snapshot) => {
    save.disabled = snapshot.receipt === null;
    file.disabled = !store.allows("generate");
    verdict.dataset["outcome"] = snapshot.verdict?.outcome ?? "";
    verdict.textContent = snapshot.verdict?.message ?? "";
  });
}

/** @param {string} receipt */
function download(receipt) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([receipt], { type: "application/json" }));
  link.download = FILE_NAME;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 0);
}
