/**
 * How a worker shows that its Redis is the coordinator's: the same address may be another Redis on another machine. The coordinator
 * draws a nonce, the worker writes the key that it names, the coordinator looks for that key in its own Redis.
 */

export const NONCE_BYTES = 16;
/** What nobody looked for goes by itself. */
export const PROOF_SECONDS = 60;

/** Among the keys that docs/security.md lets a user of Redis have. */
export const proofKey = (nonce: Uint8Array): string => `{kasane:probe}:${Buffer.from(nonce).toString('hex')}`;
