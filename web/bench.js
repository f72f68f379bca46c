// @ts-check
// The page of the benchmark: a model in, a table out. `window.engine` is the loaded model, for `tinypylm bench`.

import { Benchmark, measure } from "./benchmark.js";
import { Client } from "./client.js";
import { FetchLedger } from "./fetch-ledger.js";
import { PageError } from "./page-error.js";
import { MODEL_BUDGET_BYTES, parseRegistry } from "./registry.js";
import { parseManifest } from "./runtime-manifest.js";
import { element } from "./views/element.js";

const select = element("bench-model", HTMLSelectElement);
const file = element("bench-file", HTMLInputElement);
const runs = element("bench-runs", HTMLInputElement);
const start = element("bench-start", HTMLButtonElement);
const status = element("bench-status");
const table = element("bench-report", HTMLTableElement);

/** @type {[label: string, value: (report: import("./benchmark.js").Report) => string][]} */
const ROWS = [
  ["Best kernel", (r) => `${(r.limit.macs_per_second / 1e9).toFixed(1)} GMAC/s`],
  ["Work of one token", (r) => `${(r.limit.macs_per_token / 1e6).toFixed(2)} million multiply-accumulates`],
  ["Limit", (r) => `${r.limit_tokens_per_second.toFixed(0)} tokens/s`],
  ["Decoding, the network alone", (r) => `${range(r.decode_tokens_per_second)} tokens/s`],
  ["Share of the limit", (r) => `${(100 * r.share_of_limit).toFixed(0)} %`],
  ["Decoding, delivered to the page", (r) => `${range(r.delivered_tokens_per_second)} tokens/s`],
  ["Prompt, the network alone", (r) => `${range(r.prompt_tokens_per_second)} tokens/s`],
  ["Time to first token", (r) => `${range(r.time_to_first_token_ms, 1)} ms`],
  ["Model load", (r) => `${r.figures["model_load_ms"].toFixed(0)} ms`],
  ["of which emission and compilation", (r) => `${(r.figures["emit_ms"] + r.figures["compile_ms"]).toFixed(0)} ms`],
  ["Linear memory, planned", (r) => `${r.figures["planned_memory_bytes"].toLocaleString("en")} bytes`],
  ["Linear memory, measured", (r) => `${r.figures["linear_memory_bytes"].toLocaleString("en")} bytes`],
  ["Threads", (r) => r.figures["threads"]],
  ["Engine", (r) => r.figures["engine"]],
];

/**
 * @param {import("./benchmark.js").Spread} spread
 * @param {number} [digits]
 */
function range({ median, low, high }, digits = 0) {
  if (Number.isNaN(median)) return "the text ends with its first token";
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}

/**
 * @param {"booting" | "idle" | "running" | "loaded" | "done" | "failed"} state
 * @param {string} text
 */
function say(state, text) {
  status.dataset["state"] = state;
  status.textContent = text;
  select.disabled = file.disabled = runs.disabled = state === "booting" || state === "running";
  start.disabled = state !== "loaded" && state !== "done";
}

/** @param {import("./benchmark.js").Report} report */
function show(report) {
  table.tBodies[0]?.replaceChildren(...ROWS.map(([label, value]) => {
    const row = document.createElement("tr");
    row.append(document.createElement("th"), document.createElement("td"));
    [label, value(report)].forEach((text, i) => row.children[i]?.append(text));
    return row;
  }));
}

const client = new Client({
  onBoot: ({ phase }) => say("booting", `Starting Python: ${phase}`),
  onDeath: (error) => say("failed", error.message),
});

/** @type {Benchmark} */
let engine;

/** @param {Promise<ArrayBuffer>} model */
async function load(model) {
  say("running", "Loading the model");
  engine = await Benchmark.load(client, await model);
  Object.assign(window, { engine });
  say("loaded", "Loaded. Press Measure.");
}

async function run() {
  show(await measure(engine, Math.max(1, runs.valueAsNumber || 1), (text) => say("running", text)));
  say("done", "Done.");
}

/** @param {Promise<void>} work */
async function attempt(work) {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof PageError)) throw error;
    say("failed", `${error.message} [${error.code}]`);
  }
}

/** @param {string} path */
function bytesOf(path) {
  return new FetchLedger().fetchBytes(new URL(path, import.meta.url).href, path, MODEL_BUDGET_BYTES);
}

async function boot() {
  const [registry, manifest] = await Promise.all([bytesOf("models/selector.registry"), bytesOf("vendor/manifest.json")]);
  for (const { label, file: name } of parseRegistry(registry).models) {
    select.add(new Option(label, new URL(`models/${name}`, import.meta.url).href));
  }
  await client.boot(new URL("vendor/", import.meta.url), await parseManifest(manifest));
  say("idle", client.refusal?.message ?? "Choose a model to start.");
}

select.addEventListener("change", () => select.value !== "" && attempt(load(bytesOf(select.value))));
file.addEventListener("change", () => file.files?.[0] !== undefined && attempt(load(file.files[0].arrayBuffer())));
start.addEventListener("click", () => attempt(run()));
attempt(boot());
