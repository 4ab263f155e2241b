/** Names of columns or classes for a message. */

/** That a message lists. */
const LISTED = 50;
/** That a note names. */
export const NAMED = 5;

export const listed = (names: readonly string[], most = LISTED) =>
  names.length > most
    ? `${names.slice(0, most).join(', ')} and ${names.length - most} more`
    : names.join(', ');
export const few = (names: readonly string[]) => listed(names, NAMED);
