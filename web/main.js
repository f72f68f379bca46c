// @ts-check
// Puts the page together: one store, the actions, a view for each part of the document, the API for programs.

import { Actions } from "./actions.js";
import { createApi } from "./api.js";
import { whenAtRest } from "./at-rest.js";
import { Conversation } from "./conversation.js";
import { FetchLedger } from "./fetch-ledger.js";
import { PageError } from "./page-error.js";
import { Store } from "./store.js";
import { mountControls } from "./views/controls.js";
import { mountDiagnostics } from "./views/diagnostics.js";
import { mountKeptFiles } from "./views/kept-files.js";
import { mountMode } from "./views/mode.js";
import { mountReceipts } from "./views/receipts.js";
import { mountSelector } from "./views/selector.js";
import { mountStatus } from "./views/status.js";
import { Transcript } from "./views/transcript.js";

const store = new Store();
const transcript = new Transcript();
const actions = new Actions(store, new FetchLedger(), transcript, import.meta.url);

mountStatus(store, { restart: () => start(actions.restart()), reload: () => location.reload() });
mountSelector(store, actions, settle);
mountControls(store, actions, new Conversation(actions), settle);
mountMode(store);
mountDiagnostics(store);
mountReceipts(store, actions, settle);
mountKeptFiles(store, (name) => actions.forget(name));
whenAtRest(store, () => settle(actions.keep()));

let booted = Promise.resolve();
Object.assign(window, { tinypylm: createApi(actions, () => booted) });
start(actions.boot());
loadFromAddress();

/**
 * @param {Promise<void>} boot
 */
function start(boot) {
  booted = boot;
  return settle(boot);
}

/** `?model=ID` loads that model. */
function loadFromAddress() {
  const id = new URL(location.href).searchParams.get("model");
  if (id !== null) settle(actions.load(id));
}

/**
 * For work that a person started: the page already shows why it failed. Anything but a PageError is a bug and rises.
 * @param {Promise<unknown>} work
 */
async function settle(work) {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof PageError)) throw error;
  }
}
