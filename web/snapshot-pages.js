// @ts-check
// A snapshot of Python's memory without its pages of zeros, which are half of it: as a file, and back into memory.
//
//   u32 memory_bytes | u32 engine_word | u32 page_count | u32 page_number[page_count] | the pages, 64 KiB each (the last
//   may be shorter)
//
// The memory is what Pyodide makes: a head of its own, then the interpreter's heap. `engine_word` is the address, in that
// heap, of the one word that depends on what the browser can do: where in WebAssembly's table Python finds the function
// that calls others, which Pyodide puts there only in engines that know ref.test. The engine's own is kept. 0: no word.

const HEAD_WORDS = 3;
const PAGE_BYTES = 65_536;

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** @param {Bytes} memory made by the same browser */
export function packed(memory) {
  const pages = pagesOf(memory.length).filter((page) => !isZero(pageOf(memory, page)));
  const head = Uint32Array.of(memory.length, 0, pages.length, ...pages);
  const bytes = new Uint8Array(head.byteLength + pages.reduce((sum, page) => sum + pageOf(memory, page).length, 0));
  bytes.set(new Uint8Array(head.buffer));
  pages.forEach((page, i) => bytes.set(pageOf(memory, page), head.byteLength + i * PAGE_BYTES));
  return bytes.buffer;
}

/**
 * What Pyodide takes for the whole memory. When it asks for the heap's part, to copy it, each page has been put in its
 * place and nothing is left to copy: so a page of zeros that was never written goes on taking no memory.
 * @param {ArrayBuffer} buffer a packed snapshot
 * @param {() => Bytes} heap the interpreter's, when it is there
 */
export function onDemand(buffer, heap) {
  const [memory_bytes = 0, engine_word = 0, page_count = 0] = new Uint32Array(buffer, 0, HEAD_WORDS);
  const numbers = new Uint32Array(buffer, 4 * HEAD_WORDS, page_count);
  const pages = new Uint8Array(buffer, 4 * (HEAD_WORDS + page_count));
  const subarray = (/** @type {number} */ start, /** @type {number | undefined} */ end) => {
    if (end !== undefined) return pages.subarray(start, end);
    keepingWord(heap(), engine_word, () => place(pages, numbers, heap(), memory_bytes, start));
    return new Uint8Array(0);
  };
  const head = pages.subarray(0, PAGE_BYTES);
  return Object.defineProperties(head, { length: { value: memory_bytes }, subarray: { value: subarray } });
}

/**
 * @param {Bytes} heap
 * @param {number} at 0: none
 * @param {() => void} change
 */
function keepingWord(heap, at, change) {
  const word = heap.slice(at, at + 4);
  change();
  if (at !== 0) heap.set(word, at);
}

/**
 * @param {Bytes} pages
 * @param {Uint32Array} numbers of the pages, in order
 * @param {Bytes} heap
 * @param {number} memory_bytes
 * @param {number} head_bytes of Pyodide's head, in the first page
 */
function place(pages, numbers, heap, memory_bytes, head_bytes) {
  if (numbers[0] !== 0 || head_bytes > PAGE_BYTES || heap.length !== memory_bytes - head_bytes) {
    throw new Error(`a snapshot of ${memory_bytes - head_bytes} bytes does not fit a heap of ${heap.length}`);
  }
  let next = 0;
  for (const number of pagesOf(memory_bytes)) {
    const at = Math.max(number * PAGE_BYTES - head_bytes, 0);
    const there = heap.subarray(at, (number + 1) * PAGE_BYTES - head_bytes);
    if (numbers[next] === number) there.set(pageOf(pages, next++).subarray(number === 0 ? head_bytes : 0));
    else if (!isZero(there)) there.fill(0);
  }
}

/** @param {number} bytes */
function pagesOf(bytes) {
  return Array.from({ length: Math.ceil(bytes / PAGE_BYTES) }, (_, page) => page);
}

/**
 * @param {Bytes} bytes
 * @param {number} page
 */
function pageOf(bytes, page) {
  return bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
}

/** @param {Bytes} page */
function isZero({ buffer, byteOffset, byteLength }) {
  for (const word of new Uint32Array(buffer, byteOffset, byteLength / 4)) if (word !== 0) return false;
  return true;
}
