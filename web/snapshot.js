// @ts-check
// A snapshot of Python's memory from visit to visit: found under the digests of all that it was made from, and used
// only if its bytes have the SHA-256 that they were kept with. Pages of zeros, half of it, are left out.
//
//   u32 memory_bytes | u32 page_count | u32 page_number[page_count] | the pages, 64 KiB each (the last may be shorter)

import { sha256Of } from "./digest.js";
import { describedDigest, forget, keep, listKept } from "./kept.js";
import { release } from "./release.js";

const FORMAT = 1;
const FOLDER = "snapshot/";
const PAGE_BYTES = 65_536;

/**
 * The name of the snapshot that these files make. The browser is a part of it: which functions Pyodide puts into
 * WebAssembly's table, whose indices stand in the memory, depends on what the browser can do.
 * @param {Record<string, string>} files SHA-256 by path
 */
export async function snapshotName(files) {
  const made_from = JSON.stringify([FORMAT, navigator.userAgent, Object.entries(files).sort()]);
  return FOLDER + (await sha256Of(new TextEncoder().encode(made_from)));
}

/**
 * The memory in a kept snapshot.
 * @param {Response} response
 */
export async function readSnapshot(response) {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (await sha256Of(bytes) !== describedDigest(response)) throw new Error("the snapshot has changed since it was kept");
  const memory = unpacked(bytes);
  release(bytes.buffer);
  return memory;
}

/**
 * Keeps `memory` in the place of every other snapshot.
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} memory
 */
export async function keepSnapshot(name, memory) {
  const others = (await listKept()).filter((kept) => kept.name.startsWith(FOLDER));
  await Promise.all(others.map((kept) => forget(kept.name)));
  const bytes = packed(memory);
  release(memory.buffer);
  const sha256 = await sha256Of(bytes);
  const body = new Blob([bytes]);
  release(bytes.buffer);
  await keep({ name, label: "Python, started", bytes: body.size, sha256 }, body);
}

/** @param {Uint8Array<ArrayBuffer>} memory */
function packed(memory) {
  const pages = pagesOf(memory.length).filter((page) => !isZero(pageOf(memory, page)));
  const head = Uint32Array.of(memory.length, pages.length, ...pages);
  const bytes = new Uint8Array(head.byteLength + pages.reduce((sum, page) => sum + pageOf(memory, page).length, 0));
  bytes.set(new Uint8Array(head.buffer));
  pages.forEach((page, i) => bytes.set(pageOf(memory, page), head.byteLength + i * PAGE_BYTES));
  return bytes;
}

/** @param {Uint8Array<ArrayBuffer>} bytes from the start of their buffer */
function unpacked({ buffer }) {
  const [memory_bytes = 0, page_count = 0] = new Uint32Array(buffer, 0, 2);
  const pages = new Uint32Array(buffer, 8, page_count);
  const body = new Uint8Array(buffer, 8 + pages.byteLength);
  const memory = new Uint8Array(memory_bytes);
  pages.forEach((page, i) => memory.set(pageOf(body, i), page * PAGE_BYTES));
  return memory;
}

/** @param {number} bytes */
function pagesOf(bytes) {
  return Array.from({ length: Math.ceil(bytes / PAGE_BYTES) }, (_, page) => page);
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {number} page
 */
function pageOf(bytes, page) {
  return bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
}

/** @param {Uint8Array<ArrayBuffer>} page */
function isZero({ buffer, byteOffset, byteLength }) {
  for (const word of new Uint32Array(buffer, byteOffset, byteLength / 4)) if (word !== 0) return false;
  return true;
}
