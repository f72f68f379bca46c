// @ts-check
// The bytes that a plain start fetches, as they come.

/** @typedef {(progress: {phase: string, done_bytes: number, total_bytes: number}) => void} OnProgress */

/**
 * Reports the bytes of every fetch from now on. A clone is counted, and the caller gets the browser's own response:
 * a rebuilt one would lose its address and the browser's cache of compiled code.
 * @param {OnProgress} onProgress
 */
export function countFetches(onProgress) {
  const browserFetch = self.fetch;
  const progress = { phase: "Interpreter", done_bytes: 0, total_bytes: 0 };
  const add = (/** @type {number} */ bytes) => {
    progress.done_bytes += bytes;
    onProgress(progress);
  };
  self.fetch = async (input, init) => {
    const response = await browserFetch(input, init);
    progress.total_bytes += Number(response.headers.get("Content-Length") ?? 0);
    count(response.clone(), add).catch(() => undefined); // who reads the response itself meets the same failure
    return response;
  };
  return { stop: () => void (self.fetch = browserFetch) };
}

/**
 * @param {Response} response
 * @param {(bytes: number) => void} add
 */
async function count(response, add) {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (let part = await reader.read(); !part.done; part = await reader.read()) add(part.value.length);
}
