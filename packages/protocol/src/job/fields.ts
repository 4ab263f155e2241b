/** The content of a file, or of a section of it, before it has been checked. */
export type Fields = Readonly<Record<string, unknown>>;

/** Whether a value is an object with keys, and no list. */
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
