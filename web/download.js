// @ts-check
// A body in the parts that it came in: counted while it streams, stopped at the first byte beyond what was declared,
// and where the connection breaks off, taken up again at the byte where it did.

import { PageError } from "./page-error.js";

const RESUMES = 3;

/**
 * @typedef {{url: string, accepted_bytes: number, requests: number}} Count kept up to date as parts come
 * @typedef {{limit_bytes: number, signal: AbortSignal | null, beforeRequest: () => void,
 *   afterPart: (parts: ArrayBuffer[]) => Promise<void>}} Terms `beforeRequest` throws where no more may be made
 */

/**
 * @param {Count} count
 * @param {Terms} terms
 */
export async function download(count, terms) {
  /** @type {ArrayBuffer[]} */
  const parts = [];
  let response = await open(count, terms, {});
  const etag = response.headers.get("ETag");
  while (!(await receive(response, count, terms, parts))) {
    if (count.requests > RESUMES || etag === null) throw brokenOff(count);
    response = await open(count, terms, { Range: `bytes=${count.accepted_bytes}-`, "If-Range": etag });
    if (response.headers.get("Content-Range")?.startsWith(`bytes ${count.accepted_bytes}-`) !== true) throw brokenOff(count);
  }
  return parts;
}

/**
 * The body of a response that is at hand.
 * @param {Response} response
 * @param {Count} count
 * @param {Terms} terms
 */
export async function read(response, count, terms) {
  /** @type {ArrayBuffer[]} */
  const parts = [];
  if (!(await receive(response, count, terms, parts))) throw brokenOff(count);
  return parts;
}

/**
 * @param {Count} count
 * @param {Terms} terms
 * @param {Record<string, string>} headers
 */
async function open(count, { signal, beforeRequest }, headers) {
  const { url } = count;
  beforeRequest();
  count.requests += 1;
  let response;
  try {
    response = await fetch(url, { signal, headers, credentials: "same-origin", redirect: "error" });
  } catch (error) {
    signal?.throwIfAborted(); // why it was: WebKit's error does not say
    throw new PageError("FetchFailed", `${url} could not be fetched (${error}). Is the server still running?`, { url });
  }
  if (response.ok) return response;
  const { status } = response;
  throw new PageError("FetchFailed", `${url} was answered with status ${status}, expected 200. Is the file there?`, { url, status });
}

/**
 * Whether the body came to its end; false if the connection broke off. Anything else that ends it is thrown.
 * @param {Response} response
 * @param {Count} count
 * @param {Terms} terms
 * @param {ArrayBuffer[]} parts grows
 */
async function receive(response, count, { limit_bytes, signal, afterPart }, parts) {
  const reader = response.body?.getReader();
  if (reader === undefined) return true;
  try {
    for (;;) {
      const part = await nextPart(reader, signal);
      signal?.throwIfAborted();
      if (typeof part === "boolean") return part;
      if (count.accepted_bytes + part.byteLength > limit_bytes) throw overrun(count, limit_bytes);
      count.accepted_bytes += part.byteLength;
      parts.push(part);
      await afterPart(parts);
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/**
 * The next part, with a buffer of its own that can be transferred; true at the end, false where it broke off.
 * @param {ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>} reader
 * @param {AbortSignal | null} signal
 */
async function nextPart(reader, signal) {
  try {
    const { done, value } = await reader.read();
    if (done) return true;
    return value.length === value.buffer.byteLength ? value.buffer : value.slice().buffer;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TypeError) return false; // which is all that a stream says of a lost connection
    throw error;
  }
}

/** @param {Count} count */
function brokenOff({ url, accepted_bytes }) {
  return new PageError("FetchFailed", `${url} broke off after ${accepted_bytes} bytes. Load it again.`, { url });
}

/**
 * @param {Count} count
 * @param {number} limit_bytes
 */
function overrun({ url }, limit_bytes) {
  return new PageError(
    "FetchOverrun",
    `${url} sent more than the ${limit_bytes} bytes that were declared; the download was stopped. ` +
      "The file and the registry do not belong together: write the registry again.",
    { declared_bytes: limit_bytes },
  );
}
