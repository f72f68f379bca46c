// @ts-check
// One measurement of one model in this browser: the limit that its best kernel sets, and what prompts and tokens take.

/**
 * @typedef {{median: number, low: number, high: number}} Spread
 * @typedef {{limit_tokens_per_second: number, kernel_macs_per_second: number, macs_per_token: number,
 *   decode_tokens_per_second: Spread, delivered_tokens_per_second: Spread, prompt_tokens_per_second: Spread,
 *   time_to_first_token_ms: Spread, share_of_limit: number, prompt_tokens: number, generated_tokens: number,
 *   boot_ms: number, figures: Record<string, any>}} Report
 * @typedef {{decode: number, delivered: number, prompt: number, first: number, figures: Record<string, any>}} Run
 */

const PROMPT_TOKENS = 128;
const DECODED_TOKENS = 128;
const CALIBRATION_SECONDS = 1;
const TEXT = (
  "Once upon a time there was a small engine in a green valley. Every morning it pulled two red wagons up the hill, " +
  "and every evening it rolled back down with milk and apples for the town. One day the rain washed away the bridge. "
).repeat(8);

/**
 * @param {import("./client.js").Client} client with Python started
 * @param {number} boot_ms
 * @param {ArrayBuffer} model a .slm file; transferred
 * @param {number} runs
 * @param {(text: string) => void} say
 * @returns {Promise<Report>}
 */
export async function measure(client, boot_ms, model, runs, say) {
  say("Loading the model");
  await client.request("load", {}, model);
  const prompt = await promptOf(client);
  say("Warming up");
  await oneRun(client, prompt);
  /** @type {Run[]} */
  const done = [];
  let best = { macs_per_second: 0, macs_per_token: 0 };
  for (let n = 1; n <= runs; n++) {
    say(`Run ${n} of ${runs}`);
    const limit = await client.request("calibrate", { seconds: CALIBRATION_SECONDS });
    if (limit.macs_per_second > best.macs_per_second) best = limit;
    done.push(await oneRun(client, prompt));
  }
  return report(done, best, boot_ms);
}

/**
 * A beginning of the text that has about PROMPT_TOKENS tokens in this model.
 * @param {import("./client.js").Client} client
 */
async function promptOf(client) {
  const probe = TEXT.slice(0, 120);
  const { figures } = await client.generate(probe, { temperature: 0, max_tokens: 1 }, {});
  return TEXT.slice(0, Math.floor((120 * PROMPT_TOKENS) / figure(figures, "prompt_tokens")) - 1);
}

/**
 * @param {import("./client.js").Client} client
 * @param {string} prompt
 * @returns {Promise<Run>}
 */
async function oneRun(client, prompt) {
  /** @type {number[]} */
  const arrivals = [];
  const token = () => void arrivals.push(performance.now());
  const { figures } = await client.generate(prompt, { temperature: 0, max_tokens: DECODED_TOKENS }, { token });
  const took = (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0);
  return {
    decode: figure(figures, "decode_tokens_per_second"),
    delivered: took > 0 ? (1000 * (arrivals.length - 1)) / took : 0,
    prompt: figure(figures, "prompt_tokens_per_second"),
    first: figure(figures, "time_to_first_token_ms"),
    figures,
  };
}

/**
 * A figure that a finished run must have.
 * @param {Record<string, unknown>} figures
 * @param {string} name
 */
function figure(figures, name) {
  const value = figures[name];
  if (typeof value !== "number") throw new TypeError(`the run reports ${value} as its ${name}`);
  return value;
}

/**
 * @param {Run[]} runs
 * @param {{macs_per_second: number, macs_per_token: number}} best
 * @param {number} boot_ms
 * @returns {Report}
 */
function report(runs, best, boot_ms) {
  const limit = best.macs_per_second / best.macs_per_token;
  const decode = spread(runs.map((run) => run.decode));
  const figures = runs.at(-1)?.figures ?? {};
  return {
    limit_tokens_per_second: limit,
    kernel_macs_per_second: best.macs_per_second,
    macs_per_token: best.macs_per_token,
    decode_tokens_per_second: decode,
    delivered_tokens_per_second: spread(runs.map((run) => run.delivered)),
    prompt_tokens_per_second: spread(runs.map((run) => run.prompt)),
    time_to_first_token_ms: spread(runs.map((run) => run.first)),
    share_of_limit: decode.median / limit,
    prompt_tokens: figures["prompt_tokens"],
    generated_tokens: figures["generated_tokens"],
    boot_ms,
    figures,
  };
}

/**
 * @param {number[]} values
 * @returns {Spread}
 */
function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return { median, low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0 };
}
