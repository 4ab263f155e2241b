/** WebAssembly memories, as they are counted and limited. */

/** Bytes of a page. */
export const PAGE = 65536;
/** What one memory holds. */
export const WASM_BYTES = 65536 * PAGE;
