// @ts-check
// #diagnostics: one element for each figure, its plain value as text; three of them again in large; the ledger.

import { megabytes } from "../megabytes.js";
import { element } from "./element.js";

/**
 * @typedef {import("../store.js").Snapshot} Snapshot
 * @typedef {import("../store.js").Figures} Figures
 */

/** @type {ReadonlyArray<[group: string, figures: ReadonlyArray<[key: string, label: string]>]>} */
const GROUPS = Object.freeze([
  ["Session", [
    ["state", "State"], ["last_error_code", "Last error"], ["prompt_tokens", "Prompt tokens"],
    ["reused_prompt_tokens", "of which reused"],
    ["generated_tokens", "Generated tokens"], ["kv_cache_tokens", "Tokens in the KV cache"],
  ]],
  ["Speed", [
    ["decode_tokens_per_second", "Tokens per second"], ["prompt_tokens_per_second", "Prompt tokens per second"],
    ["time_to_first_token_ms", "First token (ms)"], ["model_load_ms", "Model load (ms)"],
    ["model_fetch_ms", "Model fetch (ms)"], ["emit_ms", "Emit kernels (ms)"], ["compile_ms", "Compile (ms)"],
    ["boot_ms", "Start of Python (ms)"], ["boot_kind", "Started from"],
  ]],
  ["Memory", [
    ["linear_memory_bytes", "Linear memory"], ["planned_memory_bytes", "Planned"], ["file_bytes", "Model file"],
    ["kv_cache", "KV cache, type"], ["kv_cache_bytes", "KV cache"], ["scratch_arena_bytes", "Scratch arena"],
    ["scratch_arena_peak_bytes", "Scratch arena used"], ["module_bytes", "Compiled module"],
  ]],
  ["Model", [
    ["model_id", "Model"], ["family", "Family"], ["quantization", "Quantization"], ["vocab_size", "Vocabulary"],
    ["context_length", "Context (tokens)"], ["can_chat", "Made for chat"],
  ]],
  ["Assembly", [
    ["module_0_phase", "module.0.phase"], ["module_1_phase", "module.1.phase"], ["module_2_phase", "module.2.phase"],
    ["module_3_phase", "module.3.phase"], ["module_4_phase", "module.4.phase"], ["module_5_phase", "module.5.phase"],
    ["module_plan_planned_fetch_count", "Planned fetches"], ["module_plan_actual_fetch_count", "Fetched"],
    ["module_request_count", "Requests (at most 32)"], ["planned_module_bytes", "Planned Module Bytes"],
    ["actual_module_bytes", "Actual Module Bytes"], ["adapter_apply_count", "Adapters applied"],
    ["last_adapter_checksum", "Last adapter"],
  ]],
  ["Engine", [
    ["engine", "Engine"], ["threads", "Threads"], ["dot_products", "Dot products"], ["pyodide", "Pyodide"],
    ["cross_origin_isolated", "Cross-origin isolated"],
  ]],
]);

/** @param {import("../store.js").Store} store */
export function mountDiagnostics(store) {
  const root = element("diagnostics");
  root.replaceChildren(...GROUPS.map(([title, figures]) => group(title, figures)));
  const cells = new Map([...root.querySelectorAll("dd")].map((cell) => [cell.dataset["key"] ?? "", cell]));
  store.subscribe((snapshot) => {
    const figures = { ...snapshot.figures, state: snapshot.state };
    for (const [key, cell] of cells) show(cell, /** @type {Figures} */ (figures)[key] ?? null);
    showHeadline(snapshot.figures);
    showLedger(snapshot.ledger);
  });
}

/**
 * @param {string} title
 * @param {ReadonlyArray<[string, string]>} figures
 */
function group(title, figures) {
  const section = document.createElement("section");
  const list = document.createElement("dl");
  for (const [key, label] of figures) {
    const value = cell("dd", "");
    value.dataset["key"] = key;
    const row = document.createElement("div");
    row.append(cell("dt", label), value);
    list.append(row);
  }
  section.append(cell("h2", title), list);
  return section;
}

/**
 * The text is the plain value; what is easier to read beside it is drawn from an attribute.
 * @param {HTMLElement} target
 * @param {Figures[string]} value
 */
function show(target, value) {
  const text = value === null ? "" : String(typeof value === "number" ? Math.round(value * 1000) / 1000 : value);
  if (target.textContent === text) return;
  target.textContent = text;
  if (target.dataset["key"]?.endsWith("_bytes")) target.dataset["readable"] = text && megabytes(Number(text));
}

/** @param {Figures} figures */
function showHeadline(figures) {
  const memory = figures["linear_memory_bytes"];
  const values = {
    speed: whole(figures["decode_tokens_per_second"]),
    first: whole(figures["time_to_first_token_ms"]),
    memory: typeof memory === "number" ? (memory / 1_000_000).toFixed(1) : "",
  };
  for (const [name, text] of Object.entries(values)) {
    const target = document.querySelector(`[data-figure=${name}]`);
    if (target !== null && target.textContent !== text) target.textContent = text;
  }
}

/** @param {Figures[string] | undefined} value */
function whole(value) {
  return typeof value === "number" ? String(Math.round(value)) : "";
}

/** @type {Snapshot["ledger"]} */
let shown = [];

/** @param {Snapshot["ledger"]} ledger */
function showLedger(ledger) {
  if (JSON.stringify(ledger) === JSON.stringify(shown)) return;
  shown = ledger;
  element("fetches").querySelector("tbody")?.replaceChildren(...ledger.map((entry) => {
    const { component, source, requests, declared_bytes, accepted_bytes, sha256, outcome } = entry;
    const from = requests > 1 ? `${source}, ${requests} requests` : source;
    const row = document.createElement("tr");
    row.append(...[component, from, declared_bytes ?? "", accepted_bytes, sha256?.slice(0, 8) ?? "", outcome]
      .map((value) => cell("td", String(value))));
    return row;
  }));
}

/**
 * @param {string} tag
 * @param {string} text
 */
function cell(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
